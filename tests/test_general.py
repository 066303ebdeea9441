"""The general way: it ends where the fast way does, trains any module, and says what is wrong with what it is given."""

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from bench.errors import UsageError
from bench.plan.architecture import Architecture
from bench.plan.catalogue import catalogue, using
from bench.plan.cells import Cell, preset_cell
from bench.plan.factors import Factor
from bench.plan.levels import Level, Levels
from bench.plan.protocol import Precision, Protocol
from bench.plan.trials import Trial
from bench.run.worker import train_stack
from bench.train import fit as fit_module
from bench.train.data import Data, Split
from bench.train.fast.activation import Activation
from bench.train.fast.fuse import FusedSequential, fuse
from bench.train.fast.stackable import can_stack, stack_kind
from bench.train.fit import begin, fit, together
from bench.train.general import GeneralTraining
from bench.train.network import plain_network
from bench.train.outcome import Outcome
from bench.train.recipe import Recipe
from bench.train.seeded import build_network
from bench.train.single import Training
from bench.train.stack import StackTraining
from tests.zoo import ZOO

CPU = torch.device("cpu")
STEPS = 12
Build = Callable[..., nn.Module]
Foreign = Callable[..., None]


@pytest.fixture
def foreign() -> Iterator[Foreign]:
    """Puts `build(shape, classes)` in the place of model1, and adds factors, for the rest of a test."""
    with ExitStack() as stack:

        def use(build: Build, *added: Factor) -> None:
            def plain(shape: tuple[int, int, int], classes: int) -> nn.Module:
                return build(shape, classes)

            known = catalogue()
            architectures = {**known.architectures, "model1": Architecture(plain, name="model1")}
            factors = (*known.factors, *added)
            stack.enter_context(using(replace(known, architectures=architectures, factors=factors)))

        yield use


@pytest.fixture(scope="module")
def small() -> Data:
    """40 training and 20 test images, 2x8x12, of 5 classes that can be told apart."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(60) % 5
    images = torch.randint(60, (60, 2, 8, 12), generator=generator)
    for number, label in enumerate(labels.tolist()):
        images[number, :, :, 2 * label : 2 * label + 3] += 150
    split = Split(images.to(torch.uint8), labels)
    return Data("small", split.take(torch.arange(40)), split.take(torch.arange(40, 60)), classes=5)


def trial(seed: int = 0, precision: Precision = "fp32", *, batch_size: int = 16, **levels: Level) -> Trial:
    preset = preset_cell("model1").levels
    cell = Cell("model1", Levels({**preset, "augmentation": "none", **levels}))
    return Trial(cell, seed, Protocol("small", epochs=2, lr=0.02, batch_size=batch_size, precision=precision))


def without_times(outcome: Outcome) -> Outcome:
    return replace(outcome, curve=tuple(replace(e, seconds=0.0) for e in outcome.curve), train_seconds=0.0)


def losses(training: Training | GeneralTraining, batches: Sequence[Tensor]) -> Tensor:
    training.network.train()
    return torch.stack([training.step(batch)[0] for batch in batches])


def without_dropout(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif "rate" in vars(module):
            setattr(module, "rate", 0.0)  # noqa: B010  # whatever the module is


def sgd(parameters: Any, rate: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=rate, momentum=0.9)


def by_epoch(optimizer: torch.optim.Optimizer, _rate: float, _moves: int) -> Any:
    return torch.optim.lr_scheduler.StepLR(optimizer, 15, 0.1)


@pytest.mark.parametrize("name", ["model1", "model2", "model3"])
@pytest.mark.parametrize("scheduler", ["step", "cosine", "onecycle"])
def test_with_the_usual_parts_the_general_way_gives_the_fast_ways_losses(
    name: str, scheduler: str, few_digits: Data
) -> None:
    levels = Levels({**preset_cell(name).levels, "augmentation": "advanced", "dropout": 0.1, "scheduler": scheduler})
    one = Trial(Cell(name, levels), 3, Protocol("digits", epochs=4))
    # At a one-cycle peak rounding grows tenfold a step: after six steps either way is a third of a percent off float64.
    batches = torch.randint(200, (6, 64), generator=torch.Generator().manual_seed(5)).unbind()
    explicit = Recipe().with_loss(F.cross_entropy).with_optimizer(sgd)
    if scheduler == "cosine":
        explicit = explicit.with_schedule(lambda optimizer, _rate, moves: CosineAnnealingLR(optimizer, moves))
    elif scheduler == "step":
        explicit = explicit.with_schedule(by_epoch, every="epoch")
    fast, general = Training(one, few_digits), GeneralTraining(one, few_digits, explicit, CPU)
    torch.testing.assert_close(losses(general, batches), losses(fast, batches), rtol=2e-4, atol=1e-5)
    assert general.rates() == pytest.approx(fast.rates())
    [(predicted, loss)], [(expected, expected_loss)] = general.evaluate(), fast.evaluate()
    assert loss == pytest.approx(expected_loss, rel=1e-2)
    assert (predicted == expected).double().mean() > 0.95


def test_an_epoch_takes_the_fast_ways_images_in_its_order(few_digits: Data) -> None:
    one = Trial(preset_cell("model3"), 1, Protocol("digits", epochs=1))
    [(hits, loss)] = Training(one, few_digits).epoch()
    [(general_hits, general_loss)] = GeneralTraining(one, few_digits, Recipe(), CPU).epoch()
    assert abs(hits - general_hits) <= 1
    assert general_loss == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("way", ["fast", "general"])
@pytest.mark.parametrize("name", ZOO)
def test_foreign_networks_learn_both_ways(
    name: str, way: str, precision: Precision, small: Data, foreign: Foreign
) -> None:
    foreign(ZOO[name])
    one = trial(precision=precision)
    adam = Recipe().with_optimizer(lambda parameters, rate: torch.optim.Adam(parameters, lr=rate / 4))
    training = Training(one, small) if way == "fast" else GeneralTraining(one, small, adam, CPU)
    batches = [torch.arange(40)] * STEPS
    values = losses(training, batches)
    assert values.isfinite().all()
    assert values[-1] < values[0]
    [(predicted, loss)] = training.evaluate()
    assert predicted.shape == (20,)
    assert loss == loss  # noqa: PLR0124  # a number


@pytest.mark.parametrize("name", ZOO)
def test_a_foreign_networks_fused_modules_compute_what_it_computes(name: str, small: Data) -> None:
    torch.manual_seed(0)
    plain = ZOO[name](small.input_shape, small.classes)
    without_dropout(plain)
    for in_place in (True, False):
        fused, expected = fuse(copy.deepcopy(plain), in_place=in_place), copy.deepcopy(plain)
        for _ in range(2):
            images = torch.rand(4, *small.input_shape)
            torch.testing.assert_close(fused.train()(images), expected.train()(images), rtol=1e-4, atol=1e-5)
        with torch.no_grad():
            torch.testing.assert_close(fused.eval()(images), expected.eval()(images), rtol=1e-4, atol=1e-5)
        assert list(fused.state_dict()) == list(expected.state_dict()) or in_place
        assert [id(p) for p in fused.parameters()] == list(dict.fromkeys(id(p) for p in fused.parameters()))


def test_a_sequential_that_is_walked_through_keeps_its_modules(small: Data) -> None:
    build = functools.partial(ZOO["squeezenet"], dropout=0.0, deep_supervision=True)
    plain = build(small.input_shape, small.classes).eval()
    images = torch.rand(3, *small.input_shape)
    with torch.no_grad():
        expected = plain(images)
        torch.testing.assert_close(fuse(plain)(images), expected)


def test_modules_that_stand_twice_in_a_sequential_are_called_twice() -> None:
    conv, relu = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()
    plain = nn.Sequential(conv, relu, conv, relu, nn.MaxPool2d(2), conv, relu, nn.BatchNorm2d(3))
    images = torch.rand(2, 3, 8, 8)
    for in_place in (True, False):
        fused = fuse(copy.deepcopy(plain), in_place=in_place)
        torch.testing.assert_close(fused(images), copy.deepcopy(plain)(images))


def test_what_is_fused_beside_a_networks_modules_follows_them() -> None:
    """Dropout that changes its rate while it trains, batch norm that is held, and what a copy shares."""
    conv, norm, dropout = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Dropout(0.5)
    parts = (conv, norm, nn.ReLU(), dropout)
    network = fuse(nn.Sequential(*parts), in_place=False).train()
    assert isinstance(network, FusedSequential)
    assert [type(part) for part in network] == [type(part) for part in parts]
    assert sum(isinstance(module, Activation) for module in network.modules()) == 1
    images = torch.rand(4, 1, 8, 8)
    assert not torch.equal(network(images), network(images))
    dropout.p = 0.0
    assert torch.equal(network(images), network(images))
    norm.eval()
    assert norm.running_mean is not None
    held = norm.running_mean.clone()
    with torch.no_grad():
        torch.testing.assert_close(network(images), F.relu(norm(conv(images))))
    assert torch.equal(norm.running_mean, held)
    twin = copy.deepcopy(network)
    next(twin.parameters()).data.zero_()
    assert not torch.equal(twin(images), network(images))


class Net(nn.Module):
    """A network whose forward pass is given."""

    seen: Tensor

    def __init__(
        self, shape: tuple[int, int, int], classes: int, forward: Callable[[Tensor], Any] = lambda x: x
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(shape[0] * shape[1] * shape[2], classes)
        self.unused = nn.Parameter(torch.ones(3))
        self.register_buffer("seen", torch.zeros(()))
        self.change = forward

    def forward(self, images: Tensor) -> Any:
        self.seen.add_(1)
        return self.change(F.dropout(self.linear(images.flatten(1)), 0.2, training=self.training))


class Viewing(nn.Module):
    """Says `view` of what a fused sequential gives."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(shape[0], 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.1)
        )
        self.linear = nn.Linear(4 * shape[1] * shape[2], classes)

    def forward(self, images: Tensor) -> Any:
        return self.linear(self.features(images).view(len(images), -1))


def lazy(_shape: tuple[int, int, int], classes: int) -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(classes))


def head(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """ReLU and dropout of values that are no maps."""
    features = shape[0] * shape[1] * shape[2]
    return nn.Sequential(nn.Flatten(), nn.Linear(features, 20), nn.ReLU(), nn.Dropout(0.5), nn.Linear(20, classes))


def tied(shape: tuple[int, int, int], classes: int) -> nn.Module:
    conv = nn.Conv2d(4, 4, 3, padding=1)
    first = nn.Conv2d(shape[0], 4, 3)
    return nn.Sequential(
        first, conv, nn.ReLU(), conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes)
    )


ODD: dict[str, Build] = {
    "an unused parameter, a buffer, functional dropout": Net,
    "view": Viewing,
    "lazy modules": lazy,
    "a head with dropout": head,
    "tied modules": tied,
    "attention over channels": functools.partial(ZOO["mobilenet_v2"], attention=True),
    "tied layers of attention": functools.partial(ZOO["vit"], share=True),
    "two heads": functools.partial(ZOO["squeezenet"], deep_supervision=True),
}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("case", ODD)
def test_odd_networks_give_the_same_outcome_twice(
    case: str, precision: Precision, small: Data, foreign: Foreign
) -> None:
    clip = technique("clip", lambda recipe, _level: recipe.with_after_step(clamp))
    foreign(ODD[case], clip)
    for one in (trial(precision=precision), trial(precision=precision, clip=0.1)):
        [first], [second] = fit([one], small), fit([one], small)
        assert without_times(first) == without_times(second)
        assert first.status == "done"


def clamp(network: nn.Module, _step: int) -> None:
    for parameter in network.parameters():
        parameter.clamp_(-0.5, 0.5)


def technique(name: str, change: Callable[[Any, Level], Any]) -> Factor:
    return Factor(name, (0.0, 0.1), change=change)


def test_a_lazy_networks_weights_come_from_its_seed(small: Data, foreign: Foreign) -> None:
    foreign(lazy)
    first, again, other = (build_network(trial(seed), small).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["0.weight"], other["0.weight"])


def test_looking_at_a_network_draws_nothing(small: Data, foreign: Foreign) -> None:
    foreign(Viewing)
    torch.manual_seed(0)
    built = plain_network(trial().cell, small.input_shape, small.classes)
    after = torch.rand(1)
    torch.manual_seed(0)
    expected = Viewing(small.input_shape, small.classes)
    assert torch.equal(after, torch.rand(1))
    assert torch.equal(built.linear.weight, expected.linear.weight)  # type: ignore[union-attr,arg-type]
    assert built.training


WRONG_NETWORKS: dict[str, tuple[Callable[..., Any], str]] = {
    "a tuple": (functools.partial(Net, forward=lambda x: (x, x)), "returns tuple: logits are a float tensor"),
    "nothing": (functools.partial(Net, forward=lambda _x: None), "returns NoneType: logits are a float tensor"),
    "a dict": (functools.partial(Net, forward=lambda x: {"logits": x}), "returns dict: logits are a float tensor"),
    "one class less": (
        functools.partial(Net, forward=lambda x: x[:, 1:]),
        r"returns float32 \(2, 4\): logits are a float tensor \(2, 5\)",
    ),
    "maps": (functools.partial(Net, forward=lambda x: x[..., None]), r"returns float32 \(2, 5, 1\): logits are"),
    "whole numbers": (functools.partial(Net, forward=lambda x: x.long()), r"returns int64 \(2, 5\): logits are"),
    "an error": (
        functools.partial(Net, forward=lambda x: x @ x),
        r"test_general.py:\d+: model1.* on images of 2x8x12 fails: RuntimeError",
    ),
    "nothing to learn": (lambda _shape, _classes: nn.Flatten(), "has no parameter that learns"),
    "no network": (lambda _shape, _classes: None, "its builder returns nothing, and should return an nn.Module"),
    "a lazy module that doesn't fit": (
        lambda _shape, _classes: nn.Sequential(nn.LazyConv1d(3, 3)),
        "model1.* can't be built for images of 2x8x12: RuntimeError",
    ),
}


@pytest.mark.parametrize("case", WRONG_NETWORKS)
def test_a_wrong_network_is_one_line(case: str, small: Data, foreign: Foreign) -> None:
    build, message = WRONG_NETWORKS[case]
    foreign(build)
    with pytest.raises(UsageError, match=message) as raised:
        begin([trial(dropout=0.0)], small)
    assert "\n" not in str(raised.value)


def mixup(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    share = float(torch.rand(1, generator=generator))
    other = torch.randperm(len(images), generator=generator)
    targets = F.one_hot(labels, 5).float()
    return images.lerp(images[other], share), targets.lerp(targets[other], share)


def test_soft_targets_train_and_the_labels_count(small: Data, foreign: Foreign) -> None:
    foreign(head)
    training = GeneralTraining(trial(), small, Recipe().with_batch(mixup), CPU)
    plain = GeneralTraining(trial(), small, Recipe(), CPU)
    loss, right = training.step(torch.arange(40))
    assert loss.isfinite()
    assert 0 <= int(right) <= 40
    assert float(loss) != float(plain.step(torch.arange(40))[0])
    again = GeneralTraining(trial(), small, Recipe().with_batch(mixup), CPU)
    assert torch.equal(again.step(torch.arange(40))[0], loss)


def test_changes_of_a_batch_leave_the_other_streams_alone(small: Data, foreign: Foreign) -> None:
    """A change that draws and changes nothing gives the bits of none."""

    def draws(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        torch.rand(3, generator=generator)
        return images, labels

    foreign(head)
    one = trial(augmentation="advanced")
    with_change, without = (
        GeneralTraining(one, small, recipe, CPU) for recipe in (Recipe().with_batch(draws), Recipe())
    )
    torch.manual_seed(9)
    first = with_change.epoch()
    torch.manual_seed(9)
    assert without.epoch() == first


def test_steps_are_counted_and_modules_are_found_by_their_names(small: Data, foreign: Foreign) -> None:
    seen: list[tuple[str, int]] = []

    def before(network: nn.Module, step: int) -> None:
        seen.append(("before", step))
        nn.utils.clip_grad_norm_(network.parameters(), 1e-3)

    def after(network: nn.Module, step: int) -> None:
        seen.append(("after", step))
        network.features[1].weight.fill_(step)  # type: ignore[index,union-attr]

    foreign(Viewing)
    recipe = Recipe().with_before_step(before).with_after_step(after)
    training = GeneralTraining(trial(), small, recipe, CPU)
    training.network.train()
    weights = [parameter.detach().clone() for parameter in training.network.parameters()]
    training.step(torch.arange(16))
    moved = [
        (a - b).norm() for a, b in zip(weights, training.network.parameters(), strict=True) if not bool((b == 1).all())
    ]
    assert all(norm <= 1e-3 * 0.02 * 1.01 for norm in moved)
    training.step(torch.arange(16))
    assert seen == [("before", 1), ("after", 1), ("before", 2), ("after", 2)]
    assert bool((training.network.features[1].weight == 2).all())  # type: ignore[index,union-attr]


@pytest.mark.parametrize(("every", "rates"), [("step", [0.02, 0.01]), ("epoch", [0.02, 0.02])])
def test_a_schedule_moves_when_it_is_said_to(every: Any, rates: list[float], small: Data, foreign: Foreign) -> None:
    foreign(head)
    moves_asked: list[int] = []

    def halve(optimizer: torch.optim.Optimizer, _rate: float, moves: int) -> Any:
        moves_asked.append(moves)
        return torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)

    training = GeneralTraining(trial(), small, Recipe().with_schedule(halve, every=every), CPU)
    assert moves_asked == [6 if every == "step" else 2]
    got: list[float] = []
    for _ in range(2):
        got += training.rates()
        training.step(torch.arange(16))
    assert got == pytest.approx(rates)
    for _ in range(10):  # more than the training has
        training.step(torch.arange(16))


def soft_only(logits: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, targets)


WRONG_RECIPES: dict[str, tuple[Callable[[Any], Recipe], str]] = {
    "a loss for each image": (
        lambda r: r.with_loss(functools.partial(F.cross_entropy, reduction="none")),
        r"the loss returns a tensor of shape \(16,\): return a scalar, as with .mean\(\)",
    ),
    "a loss that is a number": (
        lambda r: r.with_loss(lambda x, y: F.cross_entropy(x, y).item()),
        "returns a float: return a",
    ),
    "a loss without a gradient": (
        lambda r: r.with_loss(lambda x, y: (x.argmax(1) - y).float().mean()),
        "no gradient flows",
    ),
    "a loss that fails": (
        lambda r: r.with_loss(soft_only),
        r"test_general.py:\d+: the loss fails: ValueError: Target size",
    ),
    "no optimiser": (
        lambda r: r.with_optimizer(lambda _p, _r: None),
        r"returns nothing \(None\): return a torch.optim.Opt",
    ),
    "an optimiser's class": (lambda r: r.with_optimizer(lambda _p, _r: torch.optim.SGD), "returns a type: return a"),
    "an optimiser that fails": (
        lambda r: r.with_optimizer(lambda p, _r: torch.optim.SGD(p, lr=-1)),
        "the optimizer fails: ValueE",
    ),
    "an optimiser that needs more": (
        lambda r: r.with_optimizer(lambda p, _r: torch.optim.LBFGS(p)),
        "a step of the optimizer fails: TypeError: .*closure",
    ),
    "no schedule": (lambda r: r.with_schedule(lambda _o, _r, _m: None), "the schedule's function returns nothing"),
    "a plateau": (
        lambda r: r.with_schedule(lambda o, _r, _m: torch.optim.lr_scheduler.ReduceLROnPlateau(o)),
        "ReduceLROnPlateau looks at held-out images",
    ),
    "a batch that is images alone": (
        lambda r: r.with_batch(lambda x, _y, _g: x),
        r"returns a Tensor: return \(images, targets\)",
    ),
    "smaller images": (
        lambda r: r.with_batch(lambda x, y, _g: (x[..., 1:], y)),
        r"returns float32 of shape \(16, 2, 8, 11\) for images: .*\(16, 2, 8, 12\)",
    ),
    "fewer images": (lambda r: r.with_batch(lambda x, y, _g: (x[1:], y[1:])), r"shape \(15, 2, 8, 12\) for images"),
    "whole numbers for images": (lambda r: r.with_batch(lambda x, y, _g: (x.long(), y)), "returns int64 of shape"),
    "targets of other classes": (
        lambda r: r.with_batch(lambda x, y, _g: (x, F.one_hot(y, 7).float())),
        r"returns float32 of shape \(16, 7\) for targets: .*float shares of the classes of shape \(16, 5\)",
    ),
    "targets that are float labels": (
        lambda r: r.with_batch(lambda x, y, _g: (x, y.float())),
        "for targets: return int64",
    ),
    "a batch that fails": (
        lambda r: r.with_batch(lambda x, y, _g: (x + x.missing, y)),
        "change of a batch fails: AttributeE",
    ),
    "after a step": (
        lambda r: r.with_after_step(lambda n, _s: n.missing),
        "what happens after a step fails: AttributeError",
    ),
    "before a step": (lambda r: r.with_before_step(lambda _n, _s: 1 / 0), "before a step fails: ZeroDivisionError"),
}


@pytest.mark.parametrize("case", WRONG_RECIPES)
def test_a_wrong_recipe_ends_as_a_row_with_one_line(case: str, small: Data, foreign: Foreign) -> None:
    change, message = WRONG_RECIPES[case]
    wrong = technique("wrong", lambda recipe, _level: change(recipe))
    foreign(head, wrong)
    with pytest.raises(UsageError, match=message) as raised:
        fit([trial(wrong=0.1)], small)
    assert str(raised.value).startswith("test_general.py:")
    [trained] = train_stack([trial(wrong=0.1)], small)
    assert trained.outcome is None
    assert trained.error == f"UsageError: {raised.value}"
    assert "\n" not in trained.error


def stackable(shape: tuple[int, int, int], classes: int, momentum: float = 0.1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(shape[0], 4, 3),
        nn.BatchNorm2d(4, momentum=momentum),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.1),
        nn.Flatten(),
        nn.Linear(4 * ((shape[1] - 2) // 2) * ((shape[2] - 2) // 2), classes),
    )


def frozen(shape: tuple[int, int, int], classes: int) -> nn.Module:
    network = stackable(shape, classes)
    next(network.parameters()).requires_grad_(False)
    return network


def hooked(shape: tuple[int, int, int], classes: int) -> nn.Module:
    network = stackable(shape, classes)
    network.register_forward_hook(lambda _module, _given, logits: logits * 2)
    return network


def uneven(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Drops values in one layer of two."""
    return nn.Sequential(nn.Conv2d(shape[0], 3, 3), nn.ReLU(), stackable((3, shape[1] - 2, shape[2] - 2), classes))


UNSTACKABLE: dict[str, Build] = {
    **{name: build for name, build in ODD.items() if name != "lazy modules"},
    **ZOO,
    "a frozen layer": frozen,
    "a hook": hooked,
    "dropout in some layers": uneven,
}


@pytest.mark.parametrize("name", UNSTACKABLE)
def test_what_cannot_be_stacked_is_known(name: str, small: Data) -> None:
    network = fuse(UNSTACKABLE[name](small.input_shape, small.classes))
    assert not can_stack(network, small.input_shape)


def test_networks_stack_with_their_kind(small: Data) -> None:
    shape = small.input_shape
    kinds = [stack_kind(fuse(stackable(shape, 5, momentum)), shape) for momentum in (0.1, 0.1, 0.2)]
    assert None not in kinds
    assert kinds[0] == kinds[1] != kinds[2]
    for name in ("model1", "model2", "model3"):
        assert can_stack(fuse(plain_network(preset_cell(name), (1, 28, 28), 10)), (1, 28, 28))


def test_trials_train_together_where_their_networks_stack(small: Data, foreign: Foreign) -> None:
    own = technique("own", lambda recipe, _level: recipe.with_after_step(clamp))
    foreign(stackable, own)
    stack = [trial(0), trial(1, own=0.1), trial(2), trial(3, own=0.1)]
    assert together(stack, small) == [[stack[0], stack[2]], [stack[1]], [stack[3]]]
    assert isinstance(begin([stack[0], stack[2]], small), StackTraining)
    assert isinstance(begin([stack[1]], small), GeneralTraining)
    assert isinstance(begin([stack[0]], small), Training)
    outcomes = fit(stack, small)
    alone = [fit([one], small)[0] for one in stack]
    assert [without_times(o) for o in (outcomes[1], outcomes[3])] == [without_times(o) for o in (alone[1], alone[3])]
    for outcome, expected in zip(outcomes, alone, strict=True):
        assert outcome.curve[-1].train_loss == pytest.approx(expected.curve[-1].train_loss, rel=1e-3)


def test_a_stack_of_networks_that_do_not_stack_trains_one_by_one(small: Data, foreign: Foreign) -> None:
    foreign(ZOO["resnet8"])
    stack = [trial(seed) for seed in range(3)]
    seen: list[int] = []
    outcomes = fit(stack, small, lambda one, _epoch: seen.append(one.seed))
    assert seen == [0, 0, 1, 1, 2, 2]
    assert [without_times(o) for o in outcomes] == [without_times(fit([one], small)[0]) for one in stack]


def test_on_a_gpu_what_does_not_stack_trains_the_general_way(
    small: Data, foreign: Foreign, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[Recipe, torch.device]] = []

    class Noted:
        def __init__(self, _trial: Trial, _data: Data, recipe: Recipe, device: torch.device) -> None:
            made.append((recipe, device))

    monkeypatch.setattr(fit_module, "GeneralTraining", Noted)
    foreign(ZOO["resnet8"])
    one = trial()
    begin([replace(one, protocol=replace(one.protocol, device="cuda"))], small)
    assert made == [(Recipe(), torch.device("cuda"))]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ZOO)
def test_on_a_gpu_a_foreign_network_gives_the_losses_of_a_cpu(name: str, small: Data, foreign: Foreign) -> None:
    foreign(ZOO[name])
    one = trial(augmentation="advanced")
    cpu, gpu = (GeneralTraining(one, small, Recipe(), torch.device(kind)) for kind in ("cpu", "cuda"))
    for training in (cpu, gpu):
        without_dropout(training.network)
    batches = [torch.arange(40)] * 3
    torch.testing.assert_close(losses(gpu, batches).cpu(), losses(cpu, batches), rtol=2e-2, atol=1e-3)
    [(predicted, _)] = gpu.evaluate()
    assert predicted.device.type == "cpu"
