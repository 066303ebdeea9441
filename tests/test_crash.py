"""What a run promises when it is killed, interrupted or short of disk: real processes, real signals, real files."""

import os
import random
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.cli import run_command_line
from bench.errors import BenchError
from bench.plan.cells import preset_cell
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.record.store import Store
from bench.run.interrupt import Interrupts, held_back
from bench.run.pool import LocalPool
from bench.run.spawning import BareSpawnContext, PipeLock
from bench.run.training import ATTEMPTS, train_all
from bench.run.worker import Trained, start_worker, utc_now
from bench.train.data import Data

ROOT = Path(__file__).parent.parent
SEEDS = 24
TIMES = ["run", "started_at", "train_seconds", "train_images_per_second", "peak_memory_bytes"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")


def command(results: Path, seeds: int = SEEDS, workers: int = 2, epochs: int = 1) -> list[str]:
    """Each process takes seconds to import torch: tests have no more workers than they are about."""
    options = f"run --models model3 --design presets --seeds {seeds} --epochs {epochs} --dataset digits"
    options += f" --workers {workers} --no-timing --no-report"
    return [sys.executable, "-m", "bench", *options.split(), "--results", str(results)]


def start(results: Path, seeds: int = SEEDS, workers: int = 2, epochs: int = 1) -> "subprocess.Popen[str]":
    words = command(results, seeds, workers, epochs)
    return subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)


def children(process: int) -> list[int]:
    """The processes that it started, and those that they started."""
    found = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            found += [child, *children(child)]
    return found


def is_of_server(process: int) -> bool:
    """Whether it is the process that imports for all workers, or a copy of it."""
    try:
        return b"forkserver" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def workers_of(process: int) -> list[int]:
    """The run's worker processes, as far as they are there."""
    servers = filter(is_of_server, children(process))
    return [child for server in servers for child in children(server) if is_of_server(child)]


def alive(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def wait_for(condition: object, seconds: float = 60) -> bool:
    assert callable(condition)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def recorded(results: Path) -> int:
    path = results / "digits" / "trials.csv"
    return max(path.read_bytes().count(b"\n") - 1, 0) if path.exists() else 0


def rows(results: Path) -> pd.DataFrame:
    return Store(results / "digits").trials().drop(columns=TIMES).sort_values("seed", ignore_index=True)


def curves(store: Store) -> pd.DataFrame:
    """What each epoch of each trial reached, in any order of training."""
    return store.epochs().drop(columns="seconds").sort_values(["trial", "epoch"], ignore_index=True)


def run_apart(arguments: list[str], said: Path) -> None:
    """The command in this process, as the head of a group."""
    os.setsid()
    with said.open("w") as file:
        os.dup2(file.fileno(), 2)
    sys.exit(run_command_line(arguments))


def forked(target: Callable[..., None], arguments: tuple[object, ...]) -> ForkServerProcess:
    """A process that has torch from the start. Twenty of them would else import it for two minutes."""
    context = get_context("forkserver")
    context.set_forkserver_preload(
        ["bench.session.training", "bench.run.runner", "sklearn.datasets", "torch._dynamo", "bench.report.show.write"]
    )
    process = context.Process(target=target, args=arguments)
    process.start()
    return process


def fork(results: Path, seeds: int, workers: int) -> ForkServerProcess:
    """A run in a process of its own."""
    return forked(run_apart, (command(results, seeds, workers)[3:], results.with_suffix(".said")))


# What is killed, and of how many workers. A run that has none is killed while it trains and writes; with two, one is
# killed while the run and the other go on, and then lose the run.
WORKERS = {"run": 0, "worker": 2, "group": 1}


def kill_a_run(results: Path, seeds: int, target: str, generator: random.Random) -> bool:
    """Starts a run, kills the target at a random moment and the run with it, and sees every process gone. Whether the
    run was still at work then."""
    before = recorded(results)
    process = fork(results, seeds, WORKERS[target])
    assert process.pid is not None
    if target != "run" and generator.random() < 0.5:
        assert wait_for(lambda: workers_of(process.pid) or not process.is_alive())
        time.sleep(generator.uniform(0, 3))  # workers take seconds to start
    else:
        assert wait_for(lambda: recorded(results) > before or not process.is_alive())
        time.sleep(generator.uniform(0, 0.5))
    victims, workers = children(process.pid), workers_of(process.pid)
    at_work = process.is_alive()
    if at_work and target == "worker" and workers:
        with suppress(ProcessLookupError):  # the victim may have ended by itself
            os.kill(generator.choice(workers), signal.SIGKILL)
        time.sleep(generator.uniform(0, 2))
        victims += children(process.pid)
    elif at_work and target == "group":
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()
    assert wait_for(lambda: not any(map(alive, victims)), 30), "a worker outlived its run"
    return at_work


@pytest.mark.parametrize("wanted", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_kills_lose_nothing_and_double_nothing(wanted: int, tmp_path: Path) -> None:
    """The run, one worker or the whole group, at random moments; then the run is finished and compared with one that
    nobody disturbed."""
    generator = random.Random(0)
    killed, plain = tmp_path / "killed", tmp_path / "plain"
    seen: set[str] = set()
    kills = 0
    while kills < wanted:
        seeds = len(seen) + 40
        kills += kill_a_run(killed, seeds, tuple(WORKERS)[kills % 3], generator)
        trials = Store(killed / "digits").trials()["trial"]
        assert trials.is_unique
        assert seen <= set(trials)
        seen = set(trials)
    for results in (killed, plain):
        process = fork(results, len(seen) + 4, workers=0)
        process.join()
        assert process.exitcode == 0
    pd.testing.assert_frame_equal(rows(killed), rows(plain))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_stops_and_says_how_to_go_on(tmp_path: Path, number: int, code: int) -> None:
    process = start(tmp_path)
    assert wait_for(lambda: recorded(tmp_path) >= 2)
    workers = children(process.pid)
    os.kill(process.pid, number)
    _, error = process.communicate(timeout=30)
    assert process.returncode == code
    assert "run the same command again to go on" in error
    assert "Traceback" not in error
    assert wait_for(lambda: not any(map(alive, workers)), 5)
    assert Store(tmp_path / "digits").trials()["status"].eq("done").all()


@pytest.mark.parametrize("gap", [0.0, pytest.param(0.7, marks=pytest.mark.slow)])
def test_a_run_that_is_interrupted_twice_ends_without_a_traceback(tmp_path: Path, gap: float) -> None:
    """At once, as `timeout` does, or by an impatient user."""
    process = start(tmp_path)
    assert wait_for(lambda: recorded(tmp_path) >= 1)
    workers = children(process.pid)
    for _ in range(2):
        os.kill(process.pid, signal.SIGINT)
        time.sleep(gap)
    _, error = process.communicate(timeout=30)
    # In its last steps, when all has been said, the interpreter leaves signals to the system.
    assert process.returncode in {130, -signal.SIGINT}
    assert error.splitlines()[-1].startswith("bench: interrupted"), error
    assert "run the same command again to go on" in error
    assert "Traceback" not in error
    assert wait_for(lambda: not any(map(alive, workers)), 5)
    assert Store(tmp_path / "digits").trials()["status"].eq("done").all()


@pytest.mark.parametrize(
    ("number", "code", "delay"),
    [
        (signal.SIGINT, 130, 0.0),
        pytest.param(signal.SIGINT, 130, 2.0, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, 0.5, marks=pytest.mark.slow),
    ],
)
def test_a_signal_to_all_while_workers_start_is_answered_in_one_line(
    tmp_path: Path, number: int, code: int, delay: float
) -> None:
    """As a terminal sends it: to the run and to every process that it started."""
    process = start(tmp_path)
    assert process.stderr is not None
    assert "starting workers" in process.stderr.readline()
    assert wait_for(lambda: workers_of(process.pid))
    time.sleep(delay)
    workers = workers_of(process.pid)
    os.killpg(process.pid, number)
    _, error = process.communicate(timeout=30)
    assert process.returncode == code
    assert error.splitlines()[-1].startswith("bench: interrupted with ")
    assert all("starting workers" in line or " seed " in line for line in error.splitlines()[:-1]), error
    assert wait_for(lambda: not any(map(alive, workers)), 5)


def test_a_signal_that_was_lost_before_the_training_keeps_it_from_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.interrupted._received", [signal.SIGINT])
    with pytest.raises(KeyboardInterrupt), held_back():
        pytest.fail("it began")


def die_at_once(_data: Data) -> None:
    os._exit(3)


def die_the_first_time(died: Path, data: Data, study: bytes) -> None:
    if not died.exists():
        died.touch()
        os._exit(3)
    start_worker(data, study)


def test_workers_that_die_before_they_train_are_started_again(
    digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.run.pool.start_worker", partial(die_the_first_time, tmp_path / "died"))
    planned = [Trial(preset_cell("model1"), seed, Protocol("digits", epochs=1)) for seed in range(2)]
    trained: list[Trained] = []
    with LocalPool(1, digits) as pool:
        train_all([[trial] for trial in planned], pool, trained.append, lambda: None, Interrupts())
    assert capsys.readouterr().err.count("a worker died before any trained; they are started again") == 1
    assert [one.error for one in trained] == [None, None]


def test_workers_that_die_each_time_they_start_end_the_run(digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.run.pool.start_worker", die_at_once)
    planned = [Trial(preset_cell("model1"), seed, Protocol("digits")) for seed in range(4)]
    with (
        LocalPool(1, digits, train=deadly) as pool,
        pytest.raises(BenchError, match="the workers died 3 times before they began to train"),
    ):
        train_all([[trial] for trial in planned], pool, lambda _: None, lambda: None, Interrupts())


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "2>&-", "2>/dev/full"])
def test_a_run_that_nobody_listens_to_writes_its_rows_and_nothing_else_to_them(tmp_path: Path, closed: str) -> None:
    shell = subprocess.run(
        ["sh", "-c", f"{shlex.join(command(tmp_path, 2, workers=1))} {closed}"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert shell.returncode == 0
    assert Store(tmp_path / "digits").trials()["status"].tolist() == ["done"] * 2


@pytest.mark.slow
def test_a_killed_worker_costs_one_more_try(tmp_path: Path) -> None:
    """In the middle of a trial, which has some epochs: while a worker takes one, what others take hangs on it."""
    process = start(tmp_path, seeds=4, epochs=6)
    assert wait_for(lambda: recorded(tmp_path) >= 1)
    time.sleep(0.2)
    os.kill(workers_of(process.pid)[0], signal.SIGKILL)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    frame = Store(tmp_path / "digits").trials()
    assert frame["trial"].is_unique
    assert frame["status"].tolist() == ["done"] * 4


def say_where(stack: Sequence[Trial], _data: Data) -> list[Trained]:
    where = f"{os.getpid()} of {os.getppid()} {'torch._dynamo' in sys.modules}"
    return [Trained(trial, None, where, utc_now(), None) for trial in stack]


@pytest.mark.parametrize("has_server", [True, False])
def test_workers_are_copies_of_one_process_where_that_can_be(
    has_server: bool, few_digits: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.run.spawning._HAS_SERVER", has_server)
    trained: list[Trained] = []
    with LocalPool(1, few_digits, train=say_where) as pool:
        trial = Trial(preset_cell("model1"), 0, Protocol("digits"))
        train_all([[trial]], pool, trained.append, lambda: None, Interrupts())
    [said] = [str(one.error) for one in trained]
    worker, parent = map(int, said.split()[:3:2])
    assert worker != os.getpid()
    assert (parent != os.getpid(), said.endswith("True")) == (has_server, has_server)


def test_workers_that_a_dead_one_locked_out_are_started_again(
    few_digits: Data, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As one does that dies while it takes a stack: this process holds the workers' lock in its place."""
    monkeypatch.setattr("bench.run.pool.IDLE_SECONDS", 1)
    trained: list[Trained] = []
    with LocalPool(1, few_digits, train=say_where) as pool:
        pool.submit([Trial(preset_cell("model1"), 0, Protocol("digits"))])
        assert wait_for(lambda: pool.wait(0))
        channel = pool._pool._pool_manager.worker_manager.workers_channel
        assert channel is not None
        assert channel.mutex.acquire(timeout=60)
        trial = Trial(preset_cell("model1"), 1, Protocol("digits"))
        train_all([[trial]], pool, trained.append, lambda: None, Interrupts())
    assert [one.trial for one in trained] == [trial]
    assert capsys.readouterr().err == "workers are locked out since one died; they are started again\n"


def hang(said: Path, _stack: Sequence[Trial], _data: Data) -> list[Trained]:
    said.write_text(str(os.getpid()))
    time.sleep(600)
    return []


def train_what_hangs(said: Path, data: Data) -> None:
    with LocalPool(1, data, train=partial(hang, said)) as pool:
        pool.submit([Trial(preset_cell("model1"), 0, Protocol("digits"))])
        pool.wait(600)


def test_a_worker_that_is_at_work_ends_with_its_run(few_digits: Data, tmp_path: Path) -> None:
    """However long its work would take: what it is sent and what it answers is looked at only between two trials."""
    said = tmp_path / "worker"
    process = forked(train_what_hangs, (said, few_digits))
    try:
        assert wait_for(lambda: said.exists() and said.read_text())
    finally:
        process.kill()
        process.join()
    worker = int(said.read_text())
    try:
        assert wait_for(lambda: not alive(worker), 20)
    finally:
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)


def named_memory(process: int) -> set[Path]:
    """The files in shared memory that a process uses and another could open by name."""
    lines = Path(f"/proc/{process}/maps").read_text().splitlines()
    return {Path(line.split(maxsplit=5)[5]) for line in lines if "/dev/shm/" in line and not line.endswith("(deleted)")}


def test_a_run_that_is_killed_with_all_its_processes_leaves_nothing_in_shared_memory(tmp_path: Path) -> None:
    process = fork(tmp_path, seeds=1000, workers=1)
    assert process.pid is not None
    try:
        assert wait_for(lambda: recorded(tmp_path) >= 1)
        used = set.union(*map(named_memory, (process.pid, *children(process.pid))))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
    assert not [path for path in used if path.exists()]


def hold(lock: PipeLock, held: "Connection[Any, Any]") -> None:
    lock.acquire()
    held.send("held")
    held.recv()
    lock.release()
    held.send("free")


def test_the_lock_of_a_pool_is_held_by_one_process_and_one_thread() -> None:
    context = BareSpawnContext()
    lock = context.RLock()
    here, there = context.Pipe()
    process = context.Process(target=hold, args=(lock, there), daemon=True)
    process.start()
    assert here.recv() == "held"
    assert not lock.acquire(block=False)
    assert not lock.acquire(timeout=0.05)
    here.send("let go")
    assert lock.acquire(timeout=60)
    assert lock.acquire(block=False)
    lock.release()
    with ThreadPoolExecutor(1) as thread:
        assert not thread.submit(lock.acquire, block=False).result()
        lock.release()
        assert thread.submit(lock.acquire, block=False).result()
    process.join()


def test_a_second_run_on_the_same_folder_leaves_with_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first = fork(tmp_path, seeds=1000, workers=0)
    try:
        assert wait_for(lambda: recorded(tmp_path) >= 1)
        capfd.readouterr()
        code = run_command_line(command(tmp_path, 1000, 0)[3:])
    finally:
        first.kill()
        first.join()
    said = capfd.readouterr().err
    assert code == 1
    assert said.count("\n") == 1
    assert "another run is writing to" in said


def complaint_of(process: "subprocess.Popen[str]") -> str:
    """The first line that the run prints on stderr but for its progress."""
    assert process.stderr is not None
    return next(line for line in process.stderr if "can't be written" in line)


@pytest.mark.slow
def test_a_results_folder_that_comes_back_gets_every_row(tmp_path: Path) -> None:
    process = start(tmp_path, seeds=24, workers=1)
    assert wait_for(lambda: recorded(tmp_path) >= 2)
    (tmp_path / "digits").rename(tmp_path / "away")
    assert "its folder has vanished; what is finished is kept" in complaint_of(process)
    time.sleep(3)
    (tmp_path / "away").rename(tmp_path / "digits")
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert "vanished" not in error
    frame = Store(tmp_path / "digits").trials()
    assert frame["trial"].is_unique
    assert len(frame) == 24


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB, 64 pages."""
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", tmp_path], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("this user may not mount a file system")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


@pytest.mark.slow
def test_a_full_disk_loses_nothing_once_there_is_room(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(52 * 4096))
    process = start(small_disk, seeds=48, workers=1)
    assert "No space left on device; what is finished is kept" in complaint_of(process)
    assert Store(small_disk / "digits").trials()["trial"].is_unique
    time.sleep(3)
    ballast.unlink()
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    frame = Store(small_disk / "digits").trials()
    assert sorted(frame["seed"]) == list(range(48))
    assert len(Store(small_disk / "digits").correct()) == 48


@pytest.mark.slow
def test_a_file_that_may_not_grow_loses_nothing_once_it_may(tmp_path: Path) -> None:
    """The limit on the size of files stands in for the disk where no file system may be mounted."""
    process = start(tmp_path, seeds=24, workers=1)
    assert wait_for(lambda: recorded(tmp_path) >= 2)
    limit = (tmp_path / "digits" / "trials.csv").stat().st_size + 100
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    assert "File too large; what is finished is kept" in complaint_of(process)
    time.sleep(3)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert sorted(Store(tmp_path / "digits").trials()["seed"]) == list(range(24))


@pytest.mark.slow
def test_a_read_only_disk_is_answered_in_one_line(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    done = subprocess.run(command(small_disk), cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "can't be written: Read-only file system" in done.stderr


def deadly(stack: Sequence[Trial], _data: Data) -> list[Trained]:
    """Kills its own process at seed 0, and hands the other trials back as if they had failed."""
    if stack[0].seed == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return [Trained(trial, None, "as told", "", None) for trial in stack]


def test_a_trial_that_kills_every_worker_fails_and_the_others_go_on(digits: Data) -> None:
    planned = [Trial(preset_cell("model1"), seed, Protocol("digits")) for seed in range(4)]
    finished: list[Trained] = []
    with LocalPool(1, digits, train=deadly) as pool:
        train_all([[trial] for trial in planned], pool, finished.append, lambda: None, Interrupts())
    assert {trained.trial for trained in finished} == set(planned)
    errors = {trained.trial.seed: trained.error for trained in finished}
    assert len(finished) == 4
    assert errors[0] == f"its worker died {ATTEMPTS} times, at last killed, as the system does when memory is short"
    assert errors[1] == "as told"


def test_failed_trials_are_tried_again_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["run", "--models", "model3", "--design", "presets", "--seeds", "2", "--epochs", "1", "--dataset", "digits"]
    run += ["--results", str(tmp_path), "--workers", "0", "--no-timing", "--no-report"]
    assert run_command_line(run) == 0
    path = tmp_path / "digits" / "trials.csv"
    header, first, second = path.read_text().splitlines()
    path.write_text("\n".join([header, first.replace(",done,,", ",failed,worker died,"), second]) + "\n")
    assert run_command_line(run) == 1
    assert "worker died" in capsys.readouterr().out
    assert run_command_line([*run, "--retry-failed"]) == 0
    assert Store(tmp_path / "digits").trials()["status"].tolist() == ["failed", "done", "done"]
    assert run_command_line(run) == 0
