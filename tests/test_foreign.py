"""Networks of others, from a file of their own: the same rows wherever they are trained, stale where they were edited,
whole after a kill."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from bench.cli import run_command_line
from bench.record.joined import join_rows
from bench.record.store import Store
from tests.foreign import write_study
from tests.test_crash import ROOT, TIMES, curves, forked, wait_for
from tests.zoo import ZOO

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")

SOME = ["lenet5", "vit", "squeezenet"]
QUIET = ["--no-timing", "--no-report"]


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def output(process: "subprocess.Popen[str]") -> str:
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    return out


def store_of(folder: Path) -> Store:
    return Store(folder / "results" / "stripes" / "stripes")


def recorded(folder: Path) -> int:
    path = store_of(folder).trials_path
    return max(path.read_bytes().count(b"\n") - 1, 0) if path.exists() else 0


def rows(folder: Path) -> list[pd.DataFrame]:
    """What doesn't depend on who trained when: trials, curves, and what each image was taken for."""
    store = store_of(folder)
    trials = store.trials().drop(columns=[*TIMES, "design"]).sort_values(["architecture", "smooth", "mirror", "seed"])
    predicted = store.predicted().sort_values("trial")
    return [frame.reset_index(drop=True) for frame in (trials, curves(store), predicted)]


def assert_same(folders: Sequence[Path]) -> None:
    first, *others = [rows(folder) for folder in folders]
    for other in others:
        for mine, theirs in zip(first, other, strict=True):
            pd.testing.assert_frame_equal(mine, theirs)


def run_within(folder: Path, arguments: Sequence[str], out: Path) -> None:
    """The command in this process, which is a new one."""
    os.chdir(folder)
    with out.open("w") as file:
        os.dup2(file.fileno(), 1)
    sys.exit(run_command_line([*arguments]))


def printed(folder: Path, *arguments: str) -> str:
    process = forked(run_within, (folder, arguments, folder / "out"))
    process.join()
    assert process.exitcode == 0
    return (folder / "out").read_text()


def test_serial_and_pool_give_the_same_bits_whatever_becomes_of_the_files(tmp_path: Path) -> None:
    factors = ["--factors", "smooth,mirror", *QUIET]
    write_study(tmp_path / "serial", SOME)
    file = write_study(tmp_path / "pool", SOME)
    pool = forked(run_within, (file.parent, ["run", file.name, *factors, "--workers", "2"], file.parent / "out"))
    assert wait_for(lambda: recorded(file.parent) >= 1, 120)
    for name in ("stripes.py", "nets.py", "parts.py"):
        (file.parent / name).write_text("raise RuntimeError('edited meanwhile')\n")
    pool.join()
    assert pool.exitcode == 0
    printed(tmp_path / "serial", "run", "stripes.py", *factors, "--workers", "0")
    assert recorded(tmp_path / "serial") == len(SOME) * 3 * 2
    assert set(rows(tmp_path / "serial")[0]["status"]) == {"done"}
    assert_same([tmp_path / "serial", tmp_path / "pool"])


def test_what_was_edited_beside_the_file_is_stale_and_nothing_else(tmp_path: Path) -> None:
    write_study(tmp_path, ["resnet8", "lenet5"])
    options = ["stripes.py", "--factors", "smooth,mirror", "--seeds", "1"]

    printed(tmp_path, "run", *options, "--workers", "0", *QUIET)
    nets, parts = tmp_path / "nets.py", tmp_path / "parts.py"

    def edit(path: Path, old: str, new: str) -> None:
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    def stale() -> set[str]:
        lines = printed(tmp_path, "status", *options, "--why").splitlines()
        return {line.removeprefix("Stale: ") for line in lines if line.startswith("Stale: ")}

    edit(nets, '"""He et al. 2016, section 4.2, with n = 1: three basic blocks."""', '"""Reworded."""')
    edit(parts, "def shuffled(", "\n\n\n# a comment\ndef shuffled(")
    assert stale() == set()
    edit(parts, "labels, label_smoothing=level)", "labels, label_smoothing=2 * level)")
    assert stale() == {f"{name} smooth=0.1, 1 trial, moved since: training (loss)" for name in ("resnet8", "lenet5")}
    edit(parts, "generator=generator) < 0.5", "generator=generator) < 0.25")
    mirrored = {f"{name} mirror=on, 1 trial, moved since: training (batch)" for name in ("resnet8", "lenet5")}
    assert stale() >= mirrored
    edit(nets, "self.relu(out + before if self.skip else out)", "self.relu(out)")
    told = stale()
    assert {line for line in told if line.startswith("lenet5")} == {
        "lenet5 smooth=0.1, 1 trial, moved since: training (loss)",
        "lenet5 mirror=on, 1 trial, moved since: training (batch)",
    }
    assert {line for line in told if line.startswith("resnet8")} == {
        "resnet8, 1 trial, moved since: network",
        "resnet8 smooth=0.1, 1 trial, moved since: network, training (loss)",
        "resnet8 mirror=on, 1 trial, moved since: network, training (batch)",
    }
    assert "1 recorded, 5 to train" in printed(tmp_path, "run", *options, "--plan")


@pytest.mark.slow
def test_ten_networks_are_whole_after_a_kill_and_report(tmp_path: Path) -> None:
    for name in ("killed", "plain"):
        write_study(tmp_path / name, list(ZOO))
    options = ["run", "stripes.py", "--design", "presets", "--workers", "2", "--no-timing"]
    process = start(tmp_path / "killed", *options)
    assert wait_for(lambda: recorded(tmp_path / "killed") >= 4, 120)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = recorded(tmp_path / "killed")
    told = output(start(tmp_path / "killed", *options))
    assert f"{before} recorded, {20 - before} to train" in told
    output(start(tmp_path / "plain", *options, "--no-report"))
    assert recorded(tmp_path / "killed") == 20
    assert store_of(tmp_path / "killed").trials()["status"].eq("done").all()
    assert_same([tmp_path / "plain", tmp_path / "killed"])
    images = pd.concat(join_rows([store_of(tmp_path / "killed")]).images())
    assert len(images) == 20 * 50
    assert ((images["label"] == images["predicted"]) == images["right"]).all()
    page = (tmp_path / "killed" / "reports" / "stripes" / "stripes" / "index.html").read_text()
    assert all(name in page for name in ZOO)
