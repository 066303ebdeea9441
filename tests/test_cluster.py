"""The same plan on a Ray cluster: real nodes on this machine, real signals."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import bench
from bench.cli import run_command_line
from bench.plan.catalogue import catalogue, using
from bench.plan.cells import preset_cell
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial, trials
from bench.record.store import Store
from bench.run.cluster import ClusterError, RayExecutor
from bench.run.executor import Finished, Open
from bench.run.interrupt import Interrupts
from bench.run.runner import prepare_run, stacked, train_missing
from bench.run.serial import Serial
from bench.run.training import ATTEMPTS, train_all
from bench.run.worker import Trained
from bench.train.data import Data
from tests.foreign import write_study
from tests.studies import bench as bench_command
from tests.test_crash import ROOT, TIMES, alive, curves, recorded, wait_for
from tests.test_foreign import QUIET, assert_same
from tests.zoo import ZOO

SHORT = Protocol("digits", epochs=1)
MODEL3 = preset_cell("model3")
PATIENCE = 120.0

# One cluster at a time.
pytestmark = pytest.mark.xdist_group("cluster")

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install .[ray]")


def start_cluster(patch: pytest.MonkeyPatch, cpus: int) -> Any:
    """A cluster whose head has so many CPUs, and which `auto` means. Workers find this folder's tests."""
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    patch.setenv("PYTHONPATH", str(ROOT))
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args=node(cpus) | {"include_dashboard": False})
    patch.setenv("RAY_ADDRESS", cluster.address)
    return cluster


def node(cpus: int) -> dict[str, Any]:
    return {"num_cpus": cpus, "object_store_memory": 100 * 2**20}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where workers of `cluster` leave word."""
    return tmp_path_factory.mktemp("word")


@pytest.fixture(scope="module")
def cluster(folder: Path) -> Iterator[Any]:
    """Two CPUs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_TEST_FOLDER", str(folder))
        started = start_cluster(patch, 2)
        yield started
        started.shutdown()


@pytest.fixture
def empty_cluster() -> Iterator[Any]:
    """A head that trains nothing."""
    with pytest.MonkeyPatch.context() as patch:
        started = start_cluster(patch, 0)
        yield started
        started.shutdown()


def command(results: Path, seeds: int, epochs: int = 1) -> list[str]:
    options = f"run --models model3 --design presets --seeds {seeds} --epochs {epochs} --dataset digits --cluster auto"
    return [*options.split(), "--no-report", "--results", str(results)]


def start(arguments: Sequence[str], errors: Path) -> "subprocess.Popen[bytes]":
    with errors.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "bench", *arguments], cwd=ROOT, stderr=file, stdout=subprocess.DEVNULL
        )


def rows(results: Path) -> pd.DataFrame:
    return Store(results / "digits").trials().drop(columns=TIMES).sort_values("trial", ignore_index=True)


def on_cluster(data: Data, _stacks: int) -> RayExecutor:
    return RayExecutor("auto", data, "cpu")


def in_process(data: Data, _stacks: int) -> Serial:
    return Serial(data)


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="there are no workers")
def test_one_worker_has_all_of_these(request: pytest.FixtureRequest) -> None:
    """Where pytest-xdist doesn't know the pytest that runs it, groups fall apart without a word."""
    assert request.node.nodeid.endswith("@cluster")


@needs_ray
@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_a_cluster_gives_the_bits_of_this_process(tmp_path: Path) -> None:
    """On one machine: another CPU adds up in other vectors, and rounds otherwise."""
    planned = list(trials(map(preset_cell, ["model1", "model3"]), 2, SHORT))
    ways: dict[str, Open] = {"serial": in_process, "cluster": on_cluster}
    for name, open_executor in ways.items():
        run = prepare_run(planned, "presets", Path("unused"), tmp_path / name)
        train_missing(run, run.missing(), open_executor)
    expected = rows(tmp_path / "serial")
    assert (expected["status"] == "done").all()
    assert len(expected) == len(planned)
    pd.testing.assert_frame_equal(rows(tmp_path / "cluster"), expected)
    for file in ("correct.csv", "confusion.csv"):
        texts = [sorted((tmp_path / name / "digits" / file).read_text().splitlines()) for name in ways]
        assert texts[0] == texts[1]
    serial, cluster = (curves(Store(tmp_path / name / "digits")) for name in ways)
    pd.testing.assert_frame_equal(cluster, serial)


@needs_ray
@pytest.mark.usefixtures("cluster")
def test_a_study_of_ones_own_reaches_nodes_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its networks, its loss and its change of batches stand in modules beside its file, which no node has."""
    names = ["lenet5", "vit"]
    for way in ("cluster", "serial"):
        file = write_study(tmp_path / way, names)
        place = ["--cluster", "auto"] if way == "cluster" else ["--workers", "0"]
        options = ["--factors", "smooth,mirror", "--no-timing", "--no-report", "--results", str(tmp_path / way)]
        monkeypatch.delitem(sys.modules, "nets", raising=False)
        monkeypatch.delitem(sys.modules, "parts", raising=False)
        with using(catalogue()):
            assert run_command_line(["run", str(file), *options, *place]) == 0
    stores = [Store(tmp_path / way / "stripes" / "stripes") for way in ("cluster", "serial")]
    same = ["trial", "architecture", "seed", "status", "error", "test_accuracy", "test_loss", "train_loss"]
    found, expected = (store.trials()[same].sort_values("trial", ignore_index=True) for store in stores)
    pd.testing.assert_frame_equal(found, expected)
    assert len(expected) == len(names) * 3 * 2
    assert (expected["status"] == "done").all()


@needs_ray
@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_ten_networks_of_others_pass_the_contract_and_are_the_same_wherever_they_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {"serial": ["--workers", "0"], "pool": ["--workers", "2"], "ray": ["--cluster", "auto"]}
    for way, place in places.items():
        file = write_study(tmp_path / way, list(ZOO))
        monkeypatch.chdir(tmp_path / way)
        for module in ("nets", "parts"):
            monkeypatch.delitem(sys.modules, module, raising=False)
        plan = ["run", file.name, "--design", "presets", "--no-timing", "--no-report", *place]
        ran = bench_command(*plan)
        assert ran.code == 0, ran.err
    assert_same([tmp_path / way for way in places])
    trained = Store(tmp_path / "ray" / "results" / "stripes" / "stripes").trials()
    assert sorted(trained["architecture"].unique()) == sorted(ZOO)
    assert trained["status"].tolist() == ["done"] * 2 * len(ZOO)
    tried = bench_command("try", "stripes.py", "--seconds", "240")
    assert tried.code == 0, tried.out
    assert "66 cells x 2 seeds" in tried.out
    assert "not tried" not in tried.out
    assert "a fresh process gets the study and trains the same" in tried.out


PHASES = '''"""A phase on other pictures, and few of one's own."""
import numpy as np
from torch import nn

from bench.study import Factor, Phase, Study, from_arrays


def pooled(shape, classes, *, batch_norm=True):
    norm = [nn.BatchNorm2d(8)] if batch_norm else []
    body = nn.Conv2d(shape[0], 8, 3), *norm, nn.ReLU()
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, classes))


def pictures(name, size, classes):
    draw = np.random.default_rng(classes)
    labels = np.arange(90) % classes
    images = (draw.integers(200, size=(90, size, size)) + labels[:, None, None] * 10).astype("uint8")
    return from_arrays(name, train=(images[:60], labels[:60]), test=(images[60:], labels[60:]))


def begun(recipe, level):
    return recipe.with_start(Phase("there", epochs=1, frozen=level == "frozen", own_images=level == "updates"))


STUDY = Study(
    architectures=[pooled],
    factors=[
        Factor("before", ("off", "on", "frozen", "updates"), change=begun),
        Factor("few", ("all", 10), change=lambda recipe, level: recipe.with_images(per_class=level)),
    ],
    data=[pictures("here", 8, 3), pictures("there", 10, 5)],
    design="factorial", epochs=2, seeds=2, batch_size=16, rates=0.05)
'''


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.usefixtures("cluster")
def test_phases_leave_the_same_wherever_they_are_learned_and_when_a_run_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    places = {"serial": ["--workers", "0"], "pool": ["--workers", "2"], "ray": ["--cluster", "auto"]}
    told = ["trial", "architecture", "before", "few", "seed", "status", "test_accuracy", "test_loss", "train_loss"]
    told += ["phase", "phase_updates", "train_images"]

    def trained(way: str) -> pd.DataFrame:
        rows = Store(tmp_path / way / "results" / "phases" / "here").trials()
        return rows[told].sort_values("trial", ignore_index=True)

    for way, place in places.items():
        (tmp_path / way).mkdir()
        (tmp_path / way / "phases.py").write_text(PHASES)
        monkeypatch.chdir(tmp_path / way)
        plan = ["run", "phases.py", "--factors", "before,few", "--precision", precision, *QUIET, *place]
        ran = bench_command(*plan)
        assert ran.code == 0, ran.err
    expected = trained("serial")
    assert expected["status"].tolist() == ["done"] * 4 * 2 * 2
    for way in places:
        pd.testing.assert_frame_equal(trained(way), expected)
    kept = [sorted(path.name for path in (tmp_path / way).rglob("*.safetensors")) for way in places]
    assert kept[0] == kept[1] == kept[2]
    assert len(kept[0]) > 0
    [run] = (tmp_path / "ray" / "results" / "phases" / "here" / "runs").glob("*.json")
    (run.parent.parent / "trials.csv").unlink()
    again = bench_command("rerun", run, "--workers", "2", *QUIET)
    assert again.code == 0, again.err
    pd.testing.assert_frame_equal(trained("ray"), expected)
    tried = bench_command("try", "phases.py", "--factors", "before,few", "--seconds", "120")
    assert tried.code == 0, tried.out
    assert "not tried" not in tried.out


def deadly(stack: Sequence[Trial], _data: Data) -> list[Trained]:
    """Kills its own process at seed 0, and says of other trials which code a node ran."""
    if stack[0].seed == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return [Trained(trial, None, str(bench.__file__), "", None) for trial in stack]


@needs_ray
@pytest.mark.usefixtures("cluster")
@pytest.mark.slow
def test_a_trial_that_kills_every_worker_fails_and_the_others_run_the_code_they_were_sent(digits: Data) -> None:
    planned = [Trial(MODEL3, seed, SHORT) for seed in range(4)]
    finished: list[Trained] = []
    with RayExecutor("auto", digits, "cpu", train=deadly) as executor:
        train_all([[trial] for trial in planned], executor, finished.append, lambda: None, Interrupts())
    assert len(finished) == 4
    errors = {trained.trial.seed: str(trained.error) for trained in finished}
    assert errors[0] == f"its worker died {ATTEMPTS} times, at last killed on its node, or crashed"
    for seed in (1, 2, 3):
        assert "py_modules_files" in errors[seed]
    machines = {trained.machine for trained in finished if trained.trial.seed}
    assert len(machines) == 1
    assert None not in machines


def linger(stack: Sequence[Trial], data: Data) -> list[Trained]:
    """Leaves seed and process in a folder that the environment names, and then takes long, but for seed 0's second
    try."""
    assert len(data.train) > 0
    folder, seed = Path(os.environ["BENCH_TEST_FOLDER"]), stack[0].seed
    (folder / f"{seed}-{os.getpid()}").touch()
    if seed or len(list(folder.glob("0-*"))) == 1:
        time.sleep(10 * PATIENCE)
    return [Trained(trial, None, "as told", "", None) for trial in stack]


@needs_ray
@pytest.mark.usefixtures("cluster")
@pytest.mark.slow
def test_a_killed_worker_costs_one_more_try_and_leaving_ends_what_runs(digits: Data, folder: Path) -> None:
    with RayExecutor("auto", digits, "cpu", train=linger) as executor:
        executor.submit([Trial(MODEL3, 0, SHORT)])
        os.kill(until_at_work(executor, folder, 0), signal.SIGKILL)
        [back] = until_back(executor)
        assert back.death == "killed on its node, or crashed"
        executor.submit(back.stack)
        [back] = until_back(executor)
        assert [trained.error for trained in back.trained] == ["as told"]
        executor.submit([Trial(MODEL3, 1, SHORT)])
        last = until_at_work(executor, folder, 1)
        assert alive(last)
    assert wait_for(lambda: not alive(last), PATIENCE)


def unfit(stack: Sequence[Trial], data: Data) -> list[Trained]:
    """As on a node that lacks a package."""
    raise ModuleNotFoundError(f"No module named 'torch' for {len(stack)} trial of {data.name}")


@pytest.mark.slow
@needs_ray
@pytest.mark.usefixtures("cluster")
def test_nodes_that_lack_a_package_end_the_run_with_one_line(digits: Data) -> None:
    with RayExecutor("auto", digits, "cpu", train=unfit) as executor:
        executor.submit([Trial(MODEL3, 0, SHORT)])
        with pytest.raises(ClusterError, match=r"cannot train .*No module named 'torch'.*install") as raised:
            until_back(executor)
    assert "\n" not in str(raised.value)


def until_at_work(executor: RayExecutor, folder: Path, seed: int) -> int:
    """The process that trains the seed, once it does."""
    assert wait_for(lambda: executor.wait(0.1) or any(folder.glob(f"{seed}-*")), PATIENCE)
    [path] = folder.glob(f"{seed}-*")
    return int(path.name.split("-")[1])


def until_back(executor: RayExecutor) -> list[Finished]:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if back := executor.wait(1):
            return back
    raise AssertionError("nothing came back")


@needs_ray
@pytest.mark.slow
def test_nodes_that_come_late_and_nodes_that_die(empty_cluster: Any, tmp_path: Path) -> None:
    """No node at first; then one, which is killed at work; then another, which finishes. Ten epochs take seconds, so
    that the kill meets a trial."""
    errors = tmp_path / "errors"
    process = start(command(tmp_path, 5, epochs=10), errors)
    assert wait_for(lambda: "waiting" in errors.read_text(), PATIENCE), errors.read_text()
    first = empty_cluster.add_node(**node(1))
    assert wait_for(lambda: recorded(tmp_path) >= 1, PATIENCE), errors.read_text()
    empty_cluster.remove_node(first, allow_graceful=False)
    empty_cluster.add_node(**node(1))
    assert process.wait(PATIENCE) == 0, errors.read_text()
    assert "a worker was lost with its node; model3 seed" in errors.read_text()
    assert "Traceback" not in errors.read_text()
    frame = Store(tmp_path / "digits").trials()
    assert sorted(frame["seed"]) == list(range(5))
    assert frame["status"].eq("done").all()


@needs_ray
@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    process = start(command(tmp_path, 12), errors)
    assert wait_for(lambda: recorded(tmp_path) >= 2, PATIENCE), errors.read_text()
    process.kill()
    process.wait()
    kept = set(Store(tmp_path / "digits").trials()["trial"])
    assert 2 <= len(kept) < 12
    assert start(command(tmp_path, 12), errors).wait(PATIENCE) == 0, errors.read_text()
    after = Store(tmp_path / "digits").trials()
    assert after["trial"].is_unique
    assert len(after) == 12
    assert kept <= set(after["trial"])


@needs_ray
@pytest.mark.slow
def test_a_lost_head_ends_the_run_with_one_line_and_keeps_what_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.run.cluster.SILENCE_SECONDS", 5.0)
    cluster = start_cluster(monkeypatch, 1)

    def behead() -> None:
        if wait_for(lambda: recorded(tmp_path) >= 2, PATIENCE):
            cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)

    thread = threading.Thread(target=behead)
    thread.start()
    try:
        assert run_command_line(command(tmp_path, 200)) == 1
    finally:
        thread.join()
        cluster.shutdown()
    error = capfd.readouterr().err
    assert "Traceback" not in error
    assert error.splitlines()[-1].startswith("bench: the cluster at auto is lost (")
    assert "run the same command again to go on" in error
    kept = Store(tmp_path / "digits").trials()
    assert kept["trial"].is_unique
    assert len(kept) >= 2
    said = [int(number) for number in re.findall(r"^(\d+)/200 ", error, re.MULTILINE)]
    assert 0 < max(said) <= len(kept)


@needs_ray
@pytest.mark.parametrize("address", ["ray://127.0.0.1:9", "auto"])
def test_a_head_that_nobody_hears_is_answered_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], address: str
) -> None:
    monkeypatch.setattr("bench.run.cluster.CONNECT_SECONDS", 5.0)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    assert run_command_line([*command(tmp_path, 1), "--cluster", address]) == 1
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    told = address if address != "auto" else "127.0.0.1:9"
    assert error.startswith(f"bench: no Ray cluster answers at {address} ({told}: ")
    assert "refused" in error
    assert not (tmp_path / "digits" / "trials.csv").exists()


@needs_ray
def test_a_head_that_says_nothing_is_answered_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.run.cluster.CONNECT_SECONDS", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"ray://127.0.0.1:{listener.getsockname()[1]}"
        assert run_command_line([*command(tmp_path, 1), "--cluster", address]) == 1
    error = capfd.readouterr().err
    assert error.startswith(f"bench: no Ray cluster answers at {address} (no word for 3 s)")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--cluster", "somewhere"], "--cluster is auto or an address like ray://host:10001"),
        (["--cluster", "auto", "--workers", "2"], "exclude each other"),
        (["--cluster", "auto", "--gpus-per-stack", "1.5"], "a share up to 1 or a whole number"),
        (["--cluster", "auto"], "--cluster needs Ray, which is not installed: `pip install .[ray]` gets it"),
    ],
)
def test_options_that_lie(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    monkeypatch.setattr("bench.session.request.find_spec", lambda _name: None)
    assert run_command_line(["run", "--all", *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_the_serial_executor_trains_in_this_process(tmp_path: Path) -> None:
    arguments = ["run", "--models", "model3", "--design", "presets", "--seeds", "2", "--epochs", "1", "--workers", "0"]
    arguments += ["--dataset", "digits", "--no-timing", "--no-report", "--results", str(tmp_path)]
    assert run_command_line(arguments) == 0
    assert len(Store(tmp_path / "digits").trials()) == 2


@pytest.mark.parametrize(("slots", "sizes"), [(1, [5]), (2, [2, 3]), (9, [1, 1, 1, 1, 1])])
def test_a_stack_is_shared_out_among_the_gpus_of_a_cluster(slots: int, sizes: list[int]) -> None:
    on_gpu = Protocol("digits", epochs=1, device="cuda")
    planned = list(trials([MODEL3], 5, on_gpu))
    stacks = stacked(planned, slots)
    assert [len(stack) for stack in stacks] == sizes
    assert [trial for stack in stacks for trial in stack] == planned
