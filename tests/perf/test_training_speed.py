"""Speed through pytest-benchmark: `pytest tests/perf --benchmark-enable`. Without that option each runs once, untimed.

No test here decides on a time: these are figures to look at and to compare, on one machine.
"""

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from bench.plan.catalogue import catalogue
from bench.plan.cells import preset_cell
from bench.plan.designs import DESIGNS
from bench.plan.keys import Parts, trial_key
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial, trials
from bench.train.data import Data
from bench.train.network import plain_network
from bench.train.plain import plain_loader, plain_losses
from bench.train.single import Training

ARCHITECTURES = catalogue().models
FACTORS = catalogue().factors

STEPS = 10


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=pytest.mark.slow)])
@pytest.mark.benchmark(group="training: ten steps of 64 images")
def test_a_harness_trial(benchmark: BenchmarkFixture, name: str, precision: str, digits: Data) -> None:
    protocol = Protocol("digits", precision="bf16" if precision == "bf16" else "fp32")
    training = Training(Trial(preset_cell(name), 0, protocol), digits)
    training.network.train()
    indices = torch.arange(64)

    def ten_steps() -> list[float]:
        return [training.step(indices)[0].item() for _ in range(STEPS)]

    losses = benchmark.pedantic(ten_steps, rounds=10, warmup_rounds=2)
    assert len(losses) == STEPS


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.benchmark(group="training: ten steps of 64 images")
def test_the_plain_loop(benchmark: BenchmarkFixture, name: str, digits: Data) -> None:
    cell = preset_cell(name)
    network = plain_network(cell, digits.input_shape, digits.classes)
    level = str(cell.levels["augmentation"])
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)

    def ten_steps() -> list[float]:
        return list(plain_losses(network, plain_loader(digits, level, 64, STEPS, workers=0), optimizer))

    losses = benchmark.pedantic(ten_steps, rounds=5, warmup_rounds=1)
    assert len(losses) == STEPS


@pytest.mark.benchmark(group="planning")
def test_ten_thousand_trials_and_their_keys(benchmark: BenchmarkFixture) -> None:
    cells = list(DESIGNS["factorial"](list(ARCHITECTURES), FACTORS))

    def plan() -> set[str]:
        planned = trials(cells, 10_000 // len(cells), Protocol("digits"))
        return {
            trial_key(trial, Parts(trial.cell.label, str(trial.cell.levels["scheduler"]), "data")) for trial in planned
        }

    keys = benchmark.pedantic(plan, rounds=3)
    assert len(keys) == len(set(cells)) * (10_000 // len(cells))
