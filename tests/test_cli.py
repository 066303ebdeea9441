"""The command line: what it says, how it exits, what it doesn't import."""

import dataclasses
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.cli import run_command_line
from bench.plan.catalogue import catalogue, written_levels
from bench.plan.cells import preset_cell
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.record.store import Store
from bench.run.runner import prepare_run, record
from bench.run.worker import Trained
from main import with_dashes
from tests.conftest import write_idx_files
from tests.synthetic import write_rows
from tests.test_record import ROW

RATES, CANDIDATE_RATES = catalogue().rates.rate, catalogue().rates.tried

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("rnu", "No such command 'rnu'. Did you mean 'run'"),
        ("run", "say what to run: --all, or --models"),
        ("run --all --models model1", "--all and --models exclude each other"),
        ("run --models modle1", "did you mean model1"),
        ("run --models model1,", "--models takes names with commas between"),
        ("run --all --design togles", "did you mean toggles"),
        ("run --models model1 --design path", "name two"),
        ("run --all --factors gop", "did you mean gap"),
        ("run --all --seeds 0", "--seeds is 1 to 10,000"),
        ("run --all --seeds five", "--seeds"),
        ("run --all --seeds 1000000000000", "--seeds is 1 to 10,000"),
        ("run --all --epochs 99999999999999999999", "--epochs is 1 to 100,000"),
        ("run --all --lr inf", "--lr is a number above 0"),
        ("run --all --lr 0", "--lr is a number above 0"),
        ("run --all --workers -1", "--workers is 0 to"),
        ("run --all --val -1", "--val is 0 or more"),
        ("train --model model1 --seed -1", "Invalid value for '--seed'"),
        ("train --model model1 --seed 99999999999999999999", "Invalid value for '--seed'"),
        ("speed --rounds 1", "--rounds is 2 to 1,000"),
        ("report --margin nan", "--margin is 0 or more"),
        ("run --all --sedes 5", "--sedes (Possible options: --design, --models, --seeds)"),
        ("run --all --epochs -1", "--epochs is 1 to 100,000"),
        ("run --all --lr nan", "--lr is a number above 0"),
        ("run --all --batch-size 1", "--batch-size is at least 2"),
        ("run --all --optimizer adam", "--optimizer is one of sgd, adamw"),
        ("run --all --workers 10000", "--workers is 0 to"),
        ("run --all --precision fp16", "--precision is one of auto, fp32, bf16"),
        ("run --all --dataset minst", "did you mean mnist"),
        ("run --all --dataset digits --batch-size 5000", "larger than the 898 training images"),
        ("run --all --dataset digits --val 5000", "leaves nothing to train on"),
        ("train --model model9", "did you mean model"),
        ("train --model model1 --level dropout=0.3", "dropout has no level '0.3'"),
        ("select --val 0", "would choose on test images"),
        ("show modle2", "did you mean model2"),
        ("data fetch minst", "did you mean mnist"),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    command: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = ["--data-dir", str(tmp_path)] if command.startswith(("run --all --d", "select")) else []
    assert run_command_line([*command.split(), *extra]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert error.startswith("bench: ")


def test_absent_files_are_answered_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["run", "--all", "--dataset", "mnist", "--data-dir", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "python -m bench data fetch mnist" in error
    assert "--dataset digits" in error


def test_debug_shows_where_an_error_arose(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert run_command_line(["report", "--results", str(tmp_path)]) == 1
    assert "Traceback" not in caplog.text
    assert run_command_line(["--debug", "report", "--results", str(tmp_path)]) == 1
    assert "Traceback" in caplog.text
    assert run_command_line(["list"]) == 0


@pytest.mark.parametrize("command", ["--help", "run --help", "train --help", "data --help"])
def test_help_needs_no_torch(command: str) -> None:
    code = (
        "import sys; from bench.cli import run_command_line; "
        f"code = run_command_line({command.split()!r}); "
        "sys.exit(code or 9 * ('torch' in sys.modules or 'pandas' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def shell(command: str) -> "subprocess.CompletedProcess[str]":
    line = command.replace("bench", f"{sys.executable} -m bench", 1)
    return subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
@pytest.mark.parametrize("command", ["list", "--help", "show model1"])
def test_output_that_cannot_be_written_is_said_in_one_line(command: str) -> None:
    done = shell(f"bench {command} >/dev/full")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("bench: ")
    assert "No space left on device" in done.stderr


def test_a_reader_that_has_had_enough_is_told_nothing() -> None:
    assert shell("bench list | head -c 0").stderr == ""


@pytest.mark.parametrize("seconds", [0.2, 0.4, 0.8, 1.6])
def test_ctrl_c_while_modules_are_imported_is_answered_in_one_line(seconds: float) -> None:
    """The later ones come while the command is at work."""
    line = "import bench.__main__, sys, threading, _thread; "
    line += f"threading.Timer({seconds}, _thread.interrupt_main).start(); "
    line += "sys.argv[1:] = ['status', '--dataset', 'digits', '--seeds', '10000']; bench.__main__.main()"
    done = subprocess.run([sys.executable, "-c", line], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr == "bench: interrupted\n"


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        ("SIGINT", 130, "bench: interrupted\n"),
        pytest.param("SIGTERM", 143, "bench: terminated\n", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    ("module", "how"),
    [
        ("bench.commands.status", "try: receive()\n    except BaseException: pass"),
        ("bench.studies.mnist", "Ends()"),
        ("bench.commands.status", "try: receive()\n    except BaseException: raise ImportError('half') from None"),
        ("torch", "try: receive()\n    except BaseException: raise ImportError('half') from None"),
        pytest.param("torch", "try: receive()\n    except BaseException: pass", marks=pytest.mark.slow),
    ],
)
def test_a_signal_that_a_module_swallows_is_answered(module: str, how: str, number: str, code: int, said: str) -> None:
    """As callbacks of the interpreter and extension modules do that take any error for an answer."""
    line = f"""
import signal, sys
def receive():
    signal.raise_signal(signal.{number})
class Ends:
    def __del__(self):
        receive()
def swallow():
    {how}
class Swallows:
    def find_spec(self, name, *_):
        if name == "{module}":
            swallow()
sys.meta_path.insert(0, Swallows())
import bench.__main__
sys.argv[1:] = ["list"] if "{module}" != "torch" else ["status", "--dataset", "digits", "--seeds", "1"]
bench.__main__.main()
"""
    done = subprocess.run([sys.executable, "-c", line], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.parametrize("command", ["report", "status --dataset digits", "report --dataset digits", "check exact"])
def test_a_name_that_is_too_long_is_answered_in_one_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line([*command.split(), "--results", "a" * 5000]) in {1, 4}
    written = capsys.readouterr()
    assert written.err.count("\n") <= 1
    assert "File name too long" in written.err + " ".join(written.out.split()) or "has no rows" in written.err


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_folder_that_may_not_be_entered_is_answered_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Another user may not import what lies in this one's folders: first everything is.
    assert run_command_line(["status", "--dataset", "digits", "--seeds", "1", "--results", str(tmp_path)]) == 0
    importlib.import_module("bench.report.show.write")
    capsys.readouterr()
    (tmp_path / "shut").mkdir(mode=0)
    user = os.geteuid()
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    os.seteuid(65534 if user == 0 else user)  # root may enter every folder
    try:
        for command in ("status --dataset digits --seeds 1", "report --dataset digits", "data list --data-dir"):
            option = [] if command.endswith("--data-dir") else ["--results"]
            assert run_command_line([*command.split(), *option, str(tmp_path / "shut" / "results")]) == 1
            error = capsys.readouterr().err
            assert error.count("\n") == 1
            assert "Permission denied" in error
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("name", ["../x", "..", ".", "", "a/b", "/tmp", "a\\b", ".hidden"])
def test_a_data_set_has_a_plain_name(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, reports = tmp_path / "results" / "inner", tmp_path / "reports" / "inner"
    write_rows(tmp_path / "results" / "x", [preset_cell("model1")], seeds=2)
    places = ["--results", str(rows), "--reports", str(reports)]
    assert run_command_line(["report", "--dataset", name, *places]) == 2
    assert "a data set's name is a plain word" in capsys.readouterr().err
    file = tmp_path / "README.md"
    file.write_text(f"<!-- bench: {name} targets -->\n<!-- bench: end -->\n")
    if name and " " not in name:
        assert run_command_line(["readme", "--file", str(file), *places]) == 2
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize(("model", "total"), [("model1", "7,616"), ("model2", "7,798"), ("model3", "7,762")])
def test_show_counts_the_published_parameters(model: str, total: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["show", model]) == 0
    lines = capsys.readouterr().out.splitlines()
    [last] = [line for line in lines if line.startswith("total")]
    assert last.split()[2] == total


def test_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["list"]) == 0
    out = capsys.readouterr().out
    for name in ("model3", "onecycle", "augmentation", "factorial"):
        assert name in out


def test_status_counts_what_is_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--models", "model3", "--design", "presets", "--epochs", "1", "--dataset", "digits"]
    common += ["--results", str(tmp_path)]
    assert run_command_line(["run", *common, "--seeds", "1", "--no-timing", "--no-report"]) == 0
    capsys.readouterr()
    assert run_command_line(["status", *common, "--seeds", "3"]) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("model3")]
    assert line.split() == ["model3", "1", "0", "0", "0", "2"]


def test_status_counts_the_lines_that_a_crash_cut_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--models", "model3", "--design", "presets", "--epochs", "1", "--dataset", "digits"]
    common += ["--results", str(tmp_path)]
    store = Store(tmp_path / "digits")
    store.add_trial(ROW)
    for _ in range(2):
        with store.trials_path.open("a") as file:
            file.write("1,half a li")
        store.add_trial(dataclasses.replace(ROW, trial=str(store.trials_path.stat().st_size)))
    assert run_command_line(["status", *common]) == 0
    assert "Set aside: 2 lines of trials.csv that a crash had cut short (in trials.csv.torn)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("training", "0" * 16, "training (loop, schedule)"),
        ("training", "1" * 16, "training"),
        ("network", "0" * 16, "network"),
        ("data", "0" * 16, "data"),
        ("lr", "0.5", "learning rate"),
        ("trial", "0" * 16, "augmentation"),
    ],
)
def test_status_says_what_a_stale_trial_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], column: str, value: str, reason: str
) -> None:
    protocol = Protocol("digits", epochs=1)
    run = prepare_run([Trial(preset_cell("model3"), 0, protocol)], "presets", tmp_path, tmp_path)
    [named] = run.named
    recorded: dict[str, Any] = {"architecture": "model3", "epochs": 1, "lr": 0.1, "trial": "1" * 16}
    recorded |= {"levels": written_levels(preset_cell("model3").levels)} | dataclasses.asdict(named.parts)
    run.store.add_parts("0" * 16, {**named.training, "loop": "2" * 16, "schedule": "3" * 16})
    recorded[column] = float(value) if column == "lr" else value
    run.store.add_trial(dataclasses.replace(ROW, **recorded))
    command = [
        "status",
        "--models",
        "model3",
        "--design",
        "presets",
        "--seeds",
        "2",
        "--epochs",
        "1",
        "--batch-size",
        "64",
        "--optimizer",
        "sgd",
        "--precision",
        "fp32",
    ]
    assert run_command_line([*command, "--dataset", "digits", "--results", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    [line] = [line for line in out.splitlines() if line.startswith("model3")]
    assert line.split() == ["model3", "0", "0", "0", "1", "1"]
    assert f"Stale: 1 trial, moved since: {reason}\n" in out
    assert run_command_line([*command, "--dataset", "digits", "--results", str(tmp_path), "--why"]) == 0
    assert f"Stale: model3, 1 trial, moved since: {reason}\n" in capsys.readouterr().out


def test_the_published_command_works_underscores_included(tmp_path: Path) -> None:
    command = [sys.executable, "main.py", "--model", "model3", "--epochs", "1", "--lr", "0.01"]
    command += ["--batch_size", "64", "--data_dir", str(tmp_path), "--results", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "Total parameters: 7,762" in lines
    epoch = lines[lines.index("Epoch 1") + 1]
    assert [part.split(": ")[0] for part in epoch.split(" | ")] == [
        "Train Loss",
        "Train Acc",
        "Test Loss",
        "Test Acc",
    ]
    row = Store(tmp_path / "digits").trials().iloc[0]
    assert (row["lr"], row["design"]) == (0.01, "train")


def test_underscores_change_in_options_only() -> None:
    assert with_dashes("--batch_size=6_4") == "--batch-size=6_4"
    assert with_dashes("my_data") == "my_data"


@pytest.mark.slow
def test_select_holds_out_a_share_of_the_data_and_chooses_nothing_by_chance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["select", "rates", "--models", "model1", "--dataset", "digits", "--epochs", "1", "--seeds", "1"]
    assert run_command_line([*command, "--results", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    rows = Store(tmp_path / "digits", "selection.csv").trials()
    assert (rows["val"] == 898 // 12).all()
    assert len(rows) >= sum(map(len, CANDIDATE_RATES.values()))
    plain = [line for line in out.splitlines() if line.split()[:2] == ["step", "off"]]
    assert [line.split()[-1] for line in plain] == ["chance"] * 3
    assert "Not settled where none is better than chance" in out


def test_a_success_after_a_failure_is_kept(tmp_path: Path) -> None:
    cell = preset_cell("model3")
    run = prepare_run([Trial(cell, 0, Protocol("digits", epochs=1))], "train", tmp_path, tmp_path)
    record(run, Trained(run.trials[0], None, "MemoryError: none left", "2026-01-01T00:00:00Z", None))
    command = ["train", "--model", "model3", "--epochs", "1", "--precision", "fp32", "--dataset", "digits"]
    for _ in range(2):
        assert run_command_line([*command, "--results", str(tmp_path)]) == 0
        assert Store(tmp_path / "digits").trials()["status"].tolist() == ["failed", "done"]


@pytest.mark.slow
def test_a_single_trial_leaves_the_study_as_it_is(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "main.py"), "--model", "model3", "--epochs", "1", "--data_dir", "none"]
    (tmp_path / "results").mkdir()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "results").iterdir())
    assert len(Store(tmp_path / "runs" / "digits").trials()) == 1
    assert f"Row: {Path('runs', 'digits', 'trials.csv')}" in done.stdout


HEAVY = ["torch", "torchvision", "pandas", "numpy", "matplotlib", "seaborn", "scipy", "statsmodels", "sklearn", "numba"]


@pytest.mark.parametrize(
    ("command", "needless"),
    [
        ("--help", HEAVY),
        ("speed --help", HEAVY),
        ("select --help", HEAVY),
        ("list", [name for name in HEAVY if name not in {"torch", "numpy"}]),
        ("run --models model3 --design presets --seeds 1 --epochs 1 --dataset digits --workers 0 --no-report",
         ["torchvision", "matplotlib", "seaborn", "statsmodels"]),
        pytest.param(
            "status --dataset digits",
            ["torchvision", "matplotlib", "seaborn", "statsmodels"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "status --dataset kmnist",
            ["torchvision", "sklearn", "matplotlib", "statsmodels"],
            marks=pytest.mark.slow,
        ),
        ("report --dataset mnist", ["torchvision", "sklearn"]),
    ],
)  # fmt: skip
def test_a_command_imports_what_it_needs(command: str, needless: list[str], tmp_path: Path) -> None:
    words = command.split()
    if words[0] in {"status", "run", "report"} and "--help" not in words:
        words += ["--results", str(tmp_path)]
        if "kmnist" in words:
            write_idx_files(tmp_path / "KMNIST" / "raw", train=64)
            words += ["--data-dir", str(tmp_path)]
        if "mnist" in words:
            write_rows(tmp_path / "mnist", cells=[preset_cell("model1")], seeds=2)
            words += ["--reports", str(tmp_path)]
    code = (
        "import sys; from bench.cli import run_command_line; "
        f"code = run_command_line({words!r}); "
        f"print([name for name in {needless!r} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"
