"""What takes its time says how far it is."""

import pytest

from bench.plan.cells import preset_cell
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.run.countdown import Countdown
from bench.train.data import Data
from bench.train.timing import time_networks, timing_steps


class Clock:
    """Seconds that pass when it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("bench.run.countdown.time.monotonic", lambda: self.now)


def test_what_is_left_takes_what_its_kind_took(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    with Countdown(["slow", "fast", "fast", "slow", "other"], "counting") as countdown:
        assert countdown.remaining_seconds() == 0
        for seconds, left in ((100, 4 * 100), (20, 20 + 100 + 60), (40, 100 + 160 / 3), (100, 65)):
            clock.now += seconds
            countdown.done("so far")
            assert countdown.remaining_seconds() == pytest.approx(left)
        countdown.done("the last")
        assert countdown.remaining_seconds() == 0


def test_where_nobody_watches_there_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    with Countdown(["step"] * 30, "counting") as countdown:
        for number in range(30):
            clock.now += 1
            countdown.done(f"step {number}")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "counting 1/30, step 0; 29 s left"
    assert lines[1] == "counting 11/30, step 10; 19 s left"
    assert lines[-1] == "counting 30/30, step 29; 0 s left"
    assert len(lines) == 4


def test_timing_networks_names_every_step(few_digits: Data) -> None:
    trials = [Trial(preset_cell(name), seed, Protocol("digits")) for name in ("model1", "model3") for seed in (0, 1)]
    said: list[str] = []
    samples = time_networks(trials, few_digits, 2, said.append)
    steps = timing_steps(trials, 2)
    assert len(said) == len(steps) == 2 * 3 * 3
    assert [(sample.metric, sample.cell.label) for sample in samples] == [
        (metric, label) for metric, label in (step.split(" ", 1) for step in steps if not step.startswith("first "))
    ]
