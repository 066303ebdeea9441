"""Recipes: how levels change them, what is said of wrong ones, and what of them enters a key."""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import UsageError
from bench.plan.catalogue import catalogue, using
from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import Factor
from bench.plan.levels import Level, Levels
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.train.code import digest_of
from bench.train.data import Data
from bench.train.identity import training_parts
from bench.train.phase import Phase
from bench.train.recipe import Recipe, recipe_of
from bench.train.teacher import Teacher
from bench.train.values import digest_of_values
from tests.test_identity import module

Change = Callable[[Any, Level], Any]


def technique(name: str, change: Change, levels: tuple[Level, ...] = (0.0, 0.1)) -> Factor:
    return Factor(name, levels, change=change)


def smoothing(recipe: Recipe, level: Level) -> Recipe:
    return recipe.with_loss(functools.partial(F.cross_entropy, label_smoothing=float(level)))


def trial(**levels: Level) -> Trial:
    preset = preset_cell("model1")
    return Trial(Cell(preset.architecture, Levels(preset.levels, **levels)), 0, Protocol("digits"))


@pytest.fixture
def factors() -> Iterator[Callable[..., None]]:
    """Adds factors to the catalogue in use."""
    with ExitStack() as stack:

        def use(*added: Factor) -> None:
            known = catalogue()
            stack.enter_context(using(replace(known, factors=(*known.factors, *added))))

        yield use


def doubled(images: Tensor, targets: Tensor, _generator: torch.Generator) -> tuple[Tensor, Tensor]:
    return images * 2, targets


def halved(images: Tensor, targets: Tensor, _generator: torch.Generator) -> tuple[Tensor, Tensor]:
    return images / 2, targets


def test_without_changes_a_recipe_is_the_default() -> None:
    assert Recipe().is_default
    assert recipe_of(trial()).is_default
    assert not Recipe().with_batch(doubled).is_default


def test_changes_apply_in_the_order_of_the_factors_and_never_at_off(factors: Callable[..., None]) -> None:
    asked: list[tuple[str, Level]] = []

    def noted(name: str, change: Change) -> Change:
        def noting(recipe: Recipe, level: Level) -> Any:
            asked.append((name, level))
            return change(recipe, level)

        return noting

    factors(
        technique("smoothing", noted("smoothing", smoothing)),
        technique("first", noted("first", lambda recipe, _level: recipe.with_batch(doubled))),
        technique("second", noted("second", lambda recipe, _level: recipe.with_batch(halved))),
    )
    assert recipe_of(trial(smoothing=0.0)).is_default
    assert asked == []
    made = recipe_of(trial(second=0.1, first=0.1, smoothing=0.1))
    assert made.batch == (doubled, halved)
    assert isinstance(made.loss, functools.partial)
    assert made.loss.keywords == {"label_smoothing": 0.1}
    assert asked == [("smoothing", 0.1), ("first", 0.1), ("second", 0.1)]


WRONG: dict[str, tuple[Change, str]] = {
    "returns nothing": (
        lambda _recipe, _level: None,
        "change of wrong=0.1 returns nothing .*return the changed recipe",
    ),
    "returns a loss": (lambda _recipe, _level: F.cross_entropy, "returns a function: return the changed recipe"),
    "fails": (lambda _recipe, _level: 1 / 0, "change of wrong=0.1 fails: ZeroDivisionError: division by zero"),
    "misspells": (lambda recipe, _level: recipe.with_los(F.cross_entropy), "fails: AttributeError: .*with_los"),
    "gives a number for a loss": (
        lambda recipe, level: recipe.with_loss(level),
        "with_loss takes a function, not a float",
    ),
    "calls the change of batches": (lambda recipe, _level: recipe.with_batch(None), r"takes a function, not nothing"),
    "says every batch": (
        lambda recipe, _level: recipe.with_schedule(print, every="batch"),
        "moves every 'step' or every 'epoch', not every 'batch'",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_change_is_one_line(case: str, factors: Callable[..., None]) -> None:
    change, message = WRONG[case]
    factors(technique("wrong", change))
    with pytest.raises(UsageError, match=message) as raised:
        recipe_of(trial(wrong=0.1))
    assert "\n" not in str(raised.value)


def test_a_wrong_change_is_said_with_its_line(factors: Callable[..., None], tmp_path: Path) -> None:
    user = module(tmp_path, "\n\ndef change(recipe, level):\n    return recipe.missing\n")
    factors(technique("wrong", user.change))
    with pytest.raises(UsageError, match=rf"^{user.__name__}\.py:4: the change of wrong=0.1 fails"):
        recipe_of(trial(wrong=0.1))


def test_a_recipe_that_is_used_enters_the_parts_and_one_that_is_off_does_not(factors: Callable[..., None]) -> None:
    before = training_parts(trial())
    factors(
        technique("smoothing", smoothing, (0.0, 0.1, 0.2)), technique("mixup", lambda r, _level: r.with_batch(doubled))
    )
    assert training_parts(trial()) == before
    assert training_parts(trial(smoothing=0.0, mixup=0.0)) == before
    smooth = training_parts(trial(smoothing=0.1))
    assert set(smooth) == set(before) | {"loss"}
    assert {name for name in before if smooth[name] != before[name]} == {"loop"}
    assert training_parts(trial(smoothing=0.2))["loss"] != smooth["loss"]
    both = training_parts(trial(smoothing=0.1, mixup=0.1))
    assert both["loss"] == smooth["loss"]
    assert set(both) == set(smooth) | {"batch"}


def test_every_part_of_a_recipe_is_a_part_of_the_key(factors: Callable[..., None], digits: Data) -> None:
    def everything(recipe: Recipe, _level: Level) -> Recipe:
        return (
            recipe.with_loss(F.nll_loss)
            .with_optimizer(lambda parameters, rate: torch.optim.AdamW(parameters, lr=rate))
            .with_schedule(lambda optimizer, _rate, moves: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, moves))
            .with_batch(doubled)
            .with_before_step(lambda network, _step: nn.utils.clip_grad_norm_(network.parameters(), 1.0))
            .with_after_step(lambda network, _step: [p.clamp_(-1, 1) for p in network.parameters()])
            .with_images(per_class=10)
            .with_start(Phase("others"))
            .with_teacher(Teacher({}))
        )

    factors(technique("all", everything))
    data = replace(digits, others={"others": digits})
    parts, usual = training_parts(trial(all=0.1), data=data), training_parts(trial())
    assert {name for name in parts if parts[name] != usual.get(name)} == {
        "loop",
        *(field.name for field in fields(Recipe) if field.compare and field.name != "every"),
    }


def test_when_a_schedule_moves_is_part_of_it(factors: Callable[..., None]) -> None:
    def step_size(optimizer: torch.optim.Optimizer, _rate: float, _moves: int) -> Any:
        return torch.optim.lr_scheduler.StepLR(optimizer, 2)

    factors(
        technique("steps", lambda recipe, _level: recipe.with_schedule(step_size)),
        technique("epochs", lambda recipe, _level: recipe.with_schedule(step_size, every="epoch")),
    )
    assert training_parts(trial(steps=0.1))["schedule"] != training_parts(trial(epochs=0.1))["schedule"]


SOURCE = '''"""A user's file."""
from functools import partial
from torch import nn
import torch.nn.functional as F
from torch.nn.functional import cross_entropy as usual

SHARE = 0.5

def scaled(value, share=SHARE):
    """Helps."""
    return value * share

def closing(level):
    def loss(logits, targets):
        return scaled(usual(logits, targets)) + level
    return loss

class Smooth:
    """An object that is called."""
    def __init__(self, level):
        self.level = level
    def __call__(self, logits, targets):
        return scaled(usual(logits, targets)) * self.level
    def method(self, logits, targets):
        return self(logits, targets)

GLOBAL = Smooth(0.3)

PARTS = {
    "a lambda": lambda logits, targets: scaled(usual(logits, targets)),
    "a lambda with a default": (lambda level: lambda logits, targets, level=level: scaled(logits) * level)(0.7),
    "a function that closes over a value": closing(0.25),
    "a partial": partial(lambda logits, targets, level: scaled(logits) * level, level=0.9),
    "a bound method": Smooth(0.4).method,
    "an object": Smooth(0.6),
    "uses an object": lambda logits, targets: scaled(GLOBAL(logits, targets)),
}
OTHER = [lambda a: a + 1, lambda a: a + 2, lambda a: (lambda b: b + 3)(a)]
TORCH = nn.CrossEntropyLoss(label_smoothing=0.1)
'''
EVERY = (
    "a lambda",
    "a lambda with a default",
    "a function that closes over a value",
    "a partial",
    "a bound method",
    "an object",
    "uses an object",
)
VALUES = {
    "a lambda with a default": ("(0.7)", "(0.8)"),
    "a function that closes over a value": ("closing(0.25)", "closing(0.35)"),
    "a partial": ("level=0.9", "level=0.8"),
    "a bound method": ("Smooth(0.4)", "Smooth(0.5)"),
    "an object": ("Smooth(0.6)", "Smooth(0.7)"),
    "uses an object": ("Smooth(0.3)", "Smooth(0.2)"),
}


def parts_of(folder: Path, old: str = "", new: str = "") -> dict[str, str]:
    assert old in SOURCE
    source = SOURCE.replace(old, new) if old else SOURCE
    return {name: digest_of_values(part) for name, part in module(folder, source).PARTS.items()}


def test_no_two_callables_have_one_digest(tmp_path: Path) -> None:
    assert len(set(parts_of(tmp_path).values())) == len(EVERY)


@pytest.mark.parametrize("kind", EVERY)
def test_what_says_nothing_changes_no_digest_of_a_callable(kind: str, tmp_path: Path) -> None:
    before = parts_of(tmp_path)[kind]
    assert parts_of(tmp_path)[kind] == before
    assert parts_of(tmp_path, '"""Helps."""', '"""Does help."""')[kind] == before
    assert parts_of(tmp_path, "    return value * share\n", "    # scales\n    return value * share\n")[kind] == before
    assert parts_of(tmp_path, "logits", "scores")[kind] == before
    assert parts_of(tmp_path, '"""A user\'s file."""', '"""A longer\n\ntext."""\nUNUSED = 3')[kind] == before


@pytest.mark.parametrize("kind", EVERY)
def test_what_a_callable_calls_and_holds_changes_its_digest(kind: str, tmp_path: Path) -> None:
    before = parts_of(tmp_path)
    assert parts_of(tmp_path, "value * share", "value / share")[kind] != before[kind]
    assert parts_of(tmp_path, "SHARE = 0.5", "SHARE = 0.25")[kind] != before[kind]
    if kind in VALUES:
        after = parts_of(tmp_path, *VALUES[kind])
        assert {name for name in EVERY if after[name] != before[name]} == {kind}


def test_what_a_name_is_imported_as_matters_not_what_is_imported(tmp_path: Path) -> None:
    before = parts_of(tmp_path)
    renamed = module(tmp_path, SOURCE.replace("usual", "entropy")).PARTS
    assert digest_of_values(renamed["a lambda"]) == before["a lambda"]
    assert parts_of(tmp_path, "import cross_entropy", "import nll_loss")["a lambda"] != before["a lambda"]


def test_lambdas_of_one_line_are_told_apart(tmp_path: Path) -> None:
    one, two, nested = map(digest_of_values, module(tmp_path, SOURCE).OTHER)
    assert len({one, two, nested}) == 3
    changed = module(tmp_path, SOURCE.replace("b + 3", "b + 4")).OTHER
    assert list(map(digest_of_values, changed))[:2] == [one, two]
    assert digest_of_values(changed[2]) != nested


def test_a_helper_in_another_file_is_seen(tmp_path: Path) -> None:
    helpers = [module(tmp_path, f"def mix(value):\n    return value * {share}\n") for share in (0.5, 0.25, 0.5)]
    source = "import {0}\nPART = lambda images, targets, generator: ({0}.mix(images), targets)\n"
    first, second, third = (digest_of_values(module(tmp_path, source.format(h.__name__)).PART) for h in helpers)
    assert first == third
    assert first != second


def test_torchs_own_count_by_their_names_and_by_what_they_hold(tmp_path: Path) -> None:
    assert digest_of_values(F.cross_entropy) != digest_of_values(F.nll_loss)
    assert digest_of_values(torch.optim.SGD) != digest_of_values(torch.optim.AdamW)
    assert digest_of_values(torch.relu) != digest_of_values(torch.tanh)
    smooth = [nn.CrossEntropyLoss(label_smoothing=share) for share in (0.1, 0.2, 0.1)]
    assert (
        digest_of_values(smooth[0]) == digest_of_values(smooth[2]) == digest_of_values(module(tmp_path, SOURCE).TORCH)
    )
    assert digest_of_values(smooth[0]) != digest_of_values(smooth[1])
    weights = [nn.CrossEntropyLoss(weight=torch.tensor([1.0, share])) for share in (1.0, 2.0)]
    assert digest_of_values(weights[0]) != digest_of_values(weights[1])


def test_a_function_of_code_that_is_nowhere_written_counts_by_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)  # as at a prompt
    made: list[dict[str, Any]] = [{"__name__": "__main__"} for _ in range(3)]
    for names, number in zip(made, (1, 2, 1), strict=True):
        exec(f"def made(value):\n    return value + {number}", names)
    one, two, again = (digest_of_values(functools.partial(names["made"], 1)) for names in made)
    assert one == again
    assert one != two


def test_a_digest_of_code_sees_what_a_function_closes_over(tmp_path: Path) -> None:
    before, after = (module(tmp_path, SOURCE).closing(level) for level in (1, 2))
    assert digest_of(before) != digest_of(after)
