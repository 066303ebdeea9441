"""What a trial's key sees of code and of networks, and what it doesn't."""

import importlib.util
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.plan.cells import Cell, preset_cell
from bench.plan.keys import IDENTITY, Mark
from bench.plan.trials import Trial
from bench.train.code import digest_of
from bench.train.network_identity import network_part
from bench.train.optim import OptimizerKind, ScheduleKind
from bench.train.trace import network_digest

ROOT = Path(__file__).parent.parent
SHAPE = (1, 12, 12)
_names = itertools.count()

SOURCE = '''"""A module."""
import math
from torch import nn

RATE = 0.5

def halved(value: float) -> float:
    """Half of it."""
    return value * RATE

class Update:
    """Moves."""

    steps: int = 0

    def __call__(self, value: float, *, scale: float = 2.0) -> float:
        """A step."""
        # a comment
        if value < 0:
            raise ValueError(f"no {value} below 0")
        result = halved(value) + math.sqrt(value)
        self.steps += 1
        print("moved")
        return result * scale

def unused() -> int:
    return 1
'''

SAME = {
    "a docstring": ('"""A step."""', '"""Another text."""'),
    "no docstring": ('        """A step."""\n', ""),
    "a comment": ("# a comment", "# another"),
    "an annotation": ("value: float, *,", "value: int | float, *,"),
    "no annotation": ("steps: int = 0", "steps = 0"),
    "an error's text": ('f"no {value} below 0"', '"it is negative"'),
    "a line for people": ('print("moved")', 'print("has moved")'),
    "a renamed local": ("result", "moved_value"),
    "a renamed helper": ("halved", "half_of"),
    "a renamed constant": ("RATE", "SHARE"),
    "layout": ("        if value < 0:\n", "\n        if (\n            value < 0\n        ):\n"),
    "something unused": ("return 1", "return 2"),
    "an import in another form": ("import math\n", "import math\nimport os\n"),
}
OTHER = {
    "a constant": ("RATE = 0.5", "RATE = 0.25"),
    "a helper": ("value * RATE", "value / RATE"),
    "a default": ("scale: float = 2.0", "scale: float = 3.0"),
    "a call": ("math.sqrt", "math.exp"),
    "an operator": ("result * scale", "result + scale"),
    "a condition": ("value < 0", "value <= 0"),
    "another class of error": ("ValueError", "TypeError"),
    "a class attribute": ("steps: int = 0", "steps: int = 1"),
    "a line less": ("        self.steps += 1\n", ""),
}


def module(folder: Path, source: str) -> ModuleType:
    file = folder / f"user_module_{next(_names)}.py"
    file.write_text(source)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = loaded
    spec.loader.exec_module(loaded)
    return loaded


@pytest.mark.parametrize("change", SAME)
def test_what_changes_nothing_changes_no_digest(tmp_path: Path, change: str) -> None:
    old, new = SAME[change]
    assert old in SOURCE
    before, after = module(tmp_path, SOURCE).Update, module(tmp_path, SOURCE.replace(old, new)).Update
    assert digest_of(before) == digest_of(after)


@pytest.mark.parametrize("change", OTHER)
def test_what_changes_something_changes_the_digest(tmp_path: Path, change: str) -> None:
    old, new = OTHER[change]
    assert old in SOURCE
    before, after = module(tmp_path, SOURCE).Update, module(tmp_path, SOURCE.replace(old, new)).Update
    assert digest_of(before) != digest_of(after)


def test_a_helper_in_another_file_is_seen_and_what_stands_apart_is_not(tmp_path: Path) -> None:
    helper = module(tmp_path, "def half(value):\n    return value * 0.5\n")
    source = f"import {helper.__name__} as helper\n\ndef step(value):\n    return helper.half(value)\n"
    other = module(tmp_path, "def half(value):\n    return value * 0.25\n")
    first = module(tmp_path, source)
    second = module(tmp_path, source.replace(helper.__name__, other.__name__))
    assert digest_of(first.step) != digest_of(second.step)
    apart = digest_of(first.step, apart=(helper.half,)), digest_of(second.step, apart=(other.half,))
    assert apart[0] == apart[1]


def test_what_code_makes_counts_by_its_name(tmp_path: Path) -> None:
    source = "from collections import namedtuple\nPoint = namedtuple('Point', 'x y')\n"
    used = source + "def step(value):\n    return Point(value, 1)\n"
    assert digest_of(module(tmp_path, used).step) == digest_of(module(tmp_path, used).step)
    assert digest_of(module(tmp_path, used).step) != digest_of(module(tmp_path, used.replace("1)", "2)")).step)


def test_what_has_no_source_is_refused() -> None:
    with pytest.raises(ValueError, match="no Python source"):
        digest_of(len)


@pytest.mark.parametrize("kind", IDENTITY)
def test_of_every_field_that_may_enter_a_key_it_is_said_whether_it_is_identity(kind: type[Any]) -> None:
    """Say it in `bench.plan.keys.IDENTITY`: ALWAYS, NOT_IDENTITY, or the value that stands for its absence for ever."""
    assert set(IDENTITY[kind]) == {field.name for field in fields(kind)}
    assert all(isinstance(said, Mark | int | float | str | None) for said in IDENTITY[kind].values())


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        (Trial, {"cell", "seed", "protocol"}),
        (Cell, {"architecture", "levels"}),
        (OptimizerKind, {"update", "stand_in"}),
        (ScheduleKind, {"scheduler", "by_batch"}),
    ],
)
def test_of_what_a_key_is_made_from_every_field_is_known(kind: type[Any], known: set[str]) -> None:
    """A field that joins has to be made part of the key, or not, in `bench.plan.keys` or `bench.train.identity`."""
    assert {field.name for field in fields(kind)} == known


def in_a_changed_copy(folder: Path, *changes: tuple[str, str, str]) -> dict[str, str]:
    """The digests of model3's preset with SGD and AdamW, in a copy of the project with changes to its files."""
    import shutil

    for package in ("architectures", "bench"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file, old, new in changes:
        text = (folder / file).read_text(encoding="utf-8")
        assert old in text, (file, old)
        (folder / file).write_text(text.replace(old, new), encoding="utf-8")
    script = """
from bench.plan.cells import preset_cell
from bench.plan.keys import Parts, trial_key
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.train.identity import training_parts
from bench.train.network_identity import network_part

trial = Trial(preset_cell("model3"), 0, Protocol("digits"))
adamw = Trial(preset_cell("model3"), 0, Protocol("digits", optimizer="adamw", lr=0.01))
print("network", network_part(trial.cell, (1, 28, 28), 10))
for name, digest in training_parts(trial).items():
    print(name, digest)
print("adamw", training_parts(adamw)["optimizer"])
print("key", trial_key(trial, Parts("n", "t", "d")))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines())


def test_growth_leaves_every_key_of_what_does_not_use_it(tmp_path: Path) -> None:
    """A field with a default joins the layers, a factor and a field of the protocol with neutral values join, AdamW, an
    error's text, a docstring and a local change: of SGD's trials nothing moves."""
    before = in_a_changed_copy(tmp_path / "before")
    after = in_a_changed_copy(
        tmp_path / "after",
        (
            "architectures/spec.py",
            '    attention: str = "off"\n\n\n@dataclass',
            '    attention: str = "off"\n    bias: bool = True\n\n\n@dataclass',
        ),
        (
            "bench/plan/factors.py",
            "HARNESS = (\n",
            'HARNESS = (\n    Factor("smoothing", (0.0, 0.1), change=lambda recipe, level: recipe),\n',
        ),
        ("bench/plan/protocol.py", "    val: int = 0\n", "    val: int = 0\n    clip: float | None = None\n"),
        ("bench/plan/keys.py", '        "val": 0,\n', '        "val": 0,\n        "clip": None,\n'),
        ("bench/train/optim.py", "BETA2 = 0.999", "BETA2 = 0.99"),
        ("bench/train/optim.py", "no {what} is called {name!r}", "there is no {what} {name!r}"),
        ("bench/train/single.py", "A trial under way:", "A training under way:"),
        ("bench/train/single.py", "shuffled", "reordered"),
    )
    moved = {name for name in before if before[name] != after[name]}
    assert moved == {"adamw"}


def test_a_change_of_a_part_moves_that_part_alone(tmp_path: Path) -> None:
    before = in_a_changed_copy(tmp_path / "before")
    after = in_a_changed_copy(
        tmp_path / "after",
        ("bench/train/evaluation.py", "EVALUATION_BATCH = 200", "EVALUATION_BATCH = 100"),
        ("bench/train/optim.py", "max_lr=rate", "max_lr=rate, pct_start=0.2"),
    )
    moved = {name for name in before if before[name] != after[name]}
    assert moved == {"evaluation", "schedule"}


class Block(nn.Module):
    def __init__(self, skip: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.skip = skip

    def forward(self, maps: Tensor) -> Tensor:
        out = F.relu(self.conv(maps))
        return out + maps if self.skip else out


def network(*body: nn.Module, dropout: float = 0.0) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), *body, nn.Dropout(dropout), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)
    )


class Renamed(nn.Module):
    """What `network(Block())` computes, written in another way."""

    def __init__(self) -> None:
        super().__init__()
        # In the order in which the other draws: what starts otherwise is another network.
        self.second = nn.Conv2d(4, 4, (3, 3), padding=(1, 1))
        self.first = nn.Conv2d(1, 4, 3)
        self.last = nn.Linear(4, 5)

    def forward(self, images: Tensor) -> Tensor:
        before = self.first(images)
        after = F.dropout(F.relu(self.second(before)) + before, 0.0, self.training)
        logits: Tensor = self.last(F.adaptive_avg_pool2d(after, 1).flatten(1, -1))
        return logits


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, maps: Tensor) -> Tensor:
        return maps * 2

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Any:
        return gradients[0] * 2


class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, maps: Tensor) -> Tensor:
        return maps * 2

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Any:
        return gradients[0] * 3


class Applied(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, maps: Tensor) -> Any:
        return self.function.apply(maps)


class Deciding(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return maps * 2 if maps.mean().item() > 1e6 else maps


class DecidingOtherwise(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return maps * 3 if maps.mean().item() > 1e6 else maps


def started_at_zero() -> nn.Module:
    built = network(Block())
    nn.init.zeros_(next(built.parameters()))
    return built


def frozen() -> nn.Module:
    built = network(Block())
    next(built.parameters()).requires_grad_(False)
    return built


def tied() -> nn.Module:
    first, second = Block(), Block()
    second.conv.weight = first.conv.weight
    return network(first, second)


DIFFERENT: dict[str, Callable[[], nn.Module]] = {
    "as it is": lambda: network(Block()),
    "without its skip connection": lambda: network(Block(skip=False)),
    "another activation": lambda: network(nn.Conv2d(4, 4, 3, padding=1), nn.GELU()),
    "one block more": lambda: network(Block(), Block()),
    "two blocks that share weights": tied,
    "dropout": lambda: network(Block(), dropout=0.1),
    "more dropout": lambda: network(Block(), dropout=0.2),
    "batch norm": lambda: network(nn.BatchNorm2d(4), Block()),
    "batch norm with another momentum": lambda: network(nn.BatchNorm2d(4, momentum=0.2), Block()),
    "another start": started_at_zero,
    "a frozen layer": frozen,
    "a gradient of its own": lambda: network(Applied(Doubled)),
    "a wrong gradient": lambda: network(Applied(Wrong)),
    "decides by values": lambda: network(Deciding()),
    "decides otherwise": lambda: network(DecidingOtherwise()),
    "a strided convolution": lambda: network(nn.Conv2d(4, 4, 3, stride=2)),
    "a dilated convolution": lambda: network(nn.Conv2d(4, 4, 3, dilation=2)),
}


def test_networks_that_compute_or_start_differently_have_different_digests() -> None:
    digests = {name: network_digest(build, SHAPE) for name, build in DIFFERENT.items()}
    assert len(set(digests.values())) == len(digests)
    assert network_digest(DIFFERENT["as it is"], (1, 13, 12)) != digests["as it is"]


def test_a_network_that_is_written_anew_keeps_its_digest() -> None:
    assert network_digest(Renamed, SHAPE) == network_digest(lambda: network(Block()), SHAPE)


@pytest.mark.parametrize("name", DIFFERENT)
def test_a_digest_is_the_same_again_and_draws_nothing(name: str) -> None:
    torch.manual_seed(3)
    first = network_digest(DIFFERENT[name], SHAPE)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), drawn)
    assert network_digest(DIFFERENT[name], SHAPE) == first


def test_an_architectures_name_is_no_part_of_its_network() -> None:
    model1, model2 = preset_cell("model1"), preset_cell("model2")
    assert network_part(model1, (1, 28, 28), 10) != network_part(model2, (1, 28, 28), 10)
    assert network_part(model1, (1, 28, 28), 10) != network_part(model1, (3, 28, 28), 10)
    assert network_part(model1, (1, 28, 28), 10) != network_part(model1, (1, 28, 28), 7)
