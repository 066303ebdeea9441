"""`bench try` finds what a study breaks, by name and with the line; where nothing is broken it says so."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.plan.catalogue import find_factors
from bench.plan.cells import preset_cell
from bench.plan.designs import factorial
from bench.train.data import Data, Split
from bench.trying.images import check_data
from bench.trying.turns import in_turns
from tests.studies import GOOD, bench, edited, write

LOSS = "recipe.with_loss(partial(F.cross_entropy, label_smoothing=level))"
SHAKEN = """def shaken(images, labels, generator):
    return images + torch.Generator().seed() % 1000 / 1e4, labels


def smoothed"""
BODY = "    return nn.Sequential("

OWN = """class Net(nn.Module):
    def __init__(self, shape, classes):
        super().__init__()
        self.first = nn.Conv2d(shape[0], 4, 3, stride=3)
        self.last = nn.Linear(4, classes)

    def forward(self, images):
        return self.last(self.first(images).relu().mean((2, 3)))


STUDY = Study(architectures=[lambda shape, classes: Net(shape, classes)]"""
NET = edited(
    (
        "STUDY = Study(\n    architectures=[tiny]",
        OWN.replace("[lambda", "[Architecture(lambda").replace("classes)]", 'classes), name="net")]'),
    ),
    ('        Factor("width", levels=(4, 8)),\n', ""),
)
FORWARD = "self.last(self.first(images).relu().mean((2, 3)))"


def test_a_good_study_holds_and_says_what_it_will_take(tmp_path: Path) -> None:
    ran = bench("try", write(tmp_path, GOOD), "--workers", "2")
    assert (ran.code, ran.err) == (0, ""), ran.out
    assert "FAIL" not in ran.out
    verdicts = {line[6:18].strip(): line[:4].strip() for line in ran.out.splitlines() if line[:4] in {"ok  ", "-   "}}
    assert set(verdicts.values()) == {"ok"}
    assert {"data", "networks", "gradients", "same seed", "another seed", "evaluation", "factors", "workers"} <= set(
        verdicts
    )
    assert "8 cells (10 counted by rate) x 1 seeds = 10 trials" in ran.out
    assert "The whole plan: 10 trials, about" in ran.out
    assert "MB each at their peak" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 100


# What is broken, the check that must fail, and what its line must say.
BROKEN = {
    "level ignored": (edited(("*norm,", "")), "factors", "mine.py:11: batch_norm=off changes nothing of tiny"),
    "change of nothing": (
        edited(("return recipe.with_loss(partial(F.cross_entropy, label_smoothing=level))", "return recipe")),
        "factors",
        "mine.py:23: label_smoothing=0.1 changes nothing of tiny",
    ),
    "wrong logits": (
        edited(("nn.Linear(4 * width, classes)", "nn.Linear(4 * width, 7)")),
        "networks",
        "(2, 7): logits are",
    ),
    "no logits": (edited((BODY, "    return None\n    return nn.Sequential(")), "networks", "returns nothing"),
    "raises": (edited((BODY, "    raise OSError('no\\nluck')\n" + BODY)), "networks", "no luck (mine.py, line 13)"),
    "nothing learns": (
        edited(
            (BODY, "    net = nn.Sequential("),
            ("\n\n\ndef smoothed", "\n    return net.requires_grad_(False)\n\n\ndef smoothed"),
        ),
        "networks",
        "no parameter that learns",
    ),
    "own seed": (
        edited((BODY, "    torch.manual_seed(0)\n" + BODY)),
        "another seed",
        "mine.py:11: tiny starts from the same weights",
    ),
    "unseeded": (
        edited((BODY, "    import numpy\n    norm = [nn.Dropout(numpy.random.default_rng().random())]\n" + BODY)),
        "networks",
        "differently each time",
    ),
    "unused layer": (
        NET.replace("self.last =", "self.spare = nn.Linear(3, 3)\n        self.last ="),
        "gradients",
        "no gradient reaches spare.weight, spare.bias in net",
    ),
    "cut gradient": (
        NET.replace(FORWARD, FORWARD.replace(".relu()", ".relu().detach()")),
        "gradients",
        "first.weight, first.bias",
    ),
    "no gradient": (NET.replace(FORWARD, FORWARD + ".detach()"), "networks", "logits that no gradient flows from"),
    "plain list": (
        NET.replace(
            "self.first = nn.Conv2d(shape[0], 4, 3, stride=3)", "self.hidden = [nn.Conv2d(shape[0], 4, 3, stride=3)]"
        ).replace("self.first(", "self.hidden[0]("),
        "gradients",
        "mine.py:37: net uses a parameter (4) that isn't its own",
    ),
    "random evaluation": (
        NET.replace(".mean((2, 3)))", ".mean((2, 3)) + torch.rand(1))"),
        "evaluation",
        "other logits each time in evaluation",
    ),
    "batch statistics": (
        NET.replace(FORWARD, FORWARD + " * images.std()"),
        "evaluation",
        "other logits alone than among others",
    ),
    "squeezed": (NET.replace(FORWARD, FORWARD + ".squeeze()"), "evaluation", "(10,): logits are"),
    "changed by evaluation": (
        NET.replace("self.last =", "self.register_buffer('seen', torch.zeros(1))\n        self.last =").replace(
            "        return self.last(", "        self.seen += 1\n        return self.last("
        ),
        "evaluation",
        "evaluation changes seen of net",
    ),
    "loss no scalar": (
        edited(("F.cross_entropy, label", "F.cross_entropy, reduction='none', label")),
        "two steps",
        "return a scalar",
    ),
    "loss raises": (
        edited(("F.cross_entropy, label_smoothing=level", "lambda logits, labels, x: 1 / 0, x=1")),
        "two steps",
        "mine.py:24: the loss fails: ZeroDivisionError",
    ),
    "change returns nothing": (
        edited(("    return recipe.with", "    recipe.with")),
        "two steps",
        "mine.py:23: the change of label_smoothing=0.1 returns nothing",
    ),
    "optimizer of nothing": (
        edited((LOSS, "recipe.with_optimizer(lambda parameters, rate: None)")),
        "two steps",
        "mine.py:24: the optimizer's function returns nothing",
    ),
    "unseeded batches": (
        edited(
            (LOSS, "recipe.with_batch(shaken)"),
            ("def smoothed", SHAKEN),
        ),
        "same seed",
        "trains otherwise each time with the same seed",
    ),
    "batch too large": (
        edited(("batch_size=64", "batch_size=5000")),
        "two steps",
        "larger than the 898 training images",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_a_study_breaks_is_found(name: str, tmp_path: Path) -> None:
    text, check, said = BROKEN[name]
    ran = bench("try", write(tmp_path, text), "--workers", "0")
    assert ran.code == 2
    failed = [line for line in ran.out.splitlines() if line.startswith("FAIL")]
    assert any(line[6:].startswith(check) for line in failed), ran.out + ran.err
    [*_, line] = [line for line in ran.out.splitlines() if said in line] or [ran.out]
    assert said in line
    assert line.startswith("      ")
    [one] = ran.lines
    assert one.startswith("bench: 1 of 9 checks fail: ")
    assert one.endswith(check)


LATER = """def late(network, step):
    if step > 100:
        network.zero_grad()


def smoothed"""


def test_what_may_be_as_meant_is_a_note(tmp_path: Path) -> None:
    text = edited((LOSS, "recipe.with_after_step(late)"), ("def smoothed", LATER))
    ran = bench("try", write(tmp_path, text))
    assert (ran.code, ran.err) == (0, ""), ran.out
    assert "note: mine.py:28: label_smoothing=0.1 of tiny changes no number within two steps" in ran.out


def test_a_loss_that_is_no_number_is_a_note(tmp_path: Path) -> None:
    ran = bench("try", write(tmp_path, edited(("epochs=1,", "epochs=1,\n    lr=1e30,"))))
    assert "note: tiny: the loss is no number after two steps at a rate of 1e+30: try less" in ran.out


def test_a_small_rate_of_dropout_acts(tmp_path: Path) -> None:
    text = edited(
        ("batch_norm=True", "dropout=0.0"),
        ("if batch_norm", "if False"),
        ("nn.Flatten(),", "nn.Flatten(), nn.Dropout(dropout),"),
    ).replace('Factor("width", levels=(4, 8))', 'Factor("dropout", levels=(0.0, 0.002))')
    ran = bench("try", write(tmp_path, text), "--factors", "dropout")
    assert ran.code == 0, ran.out
    assert "note" not in ran.out


def test_cells_that_do_not_fit_in_are_left_out_and_counted(tmp_path: Path) -> None:
    more = "architectures=[Architecture(tiny, name=f'net{number}') for number in range(100)]"
    ran = bench("try", write(tmp_path, edited(("architectures=[tiny]", more))), "--seconds", 1)
    assert ran.code == 0, ran.err
    [line] = [line for line in ran.out.splitlines() if line.startswith("-  ")]
    assert "of 800 cells not tried in 1 s: --seconds 10 tries more" in line
    tried = 800 - int(line.split()[2])
    assert f"two steps     {tried} cells on" in ran.out
    assert "1000 trials, about" in ran.out


def test_the_built_in_study_holds(tmp_path: Path) -> None:
    ran = bench("try", "--data-dir", tmp_path, "--models", "model2", "--factors", "dropout,scheduler", "--seconds", 300)
    assert (ran.code, ran.err) == (0, ""), ran.out
    assert "every level of 2 factors changes something" in ran.out


def test_presets_come_first_then_single_changes() -> None:
    cells = list(factorial(["model1", "model2"], find_factors(["dropout", "batch_norm"])))
    turns = in_turns(cells)
    assert set(turns) >= set(cells)
    assert [len(cell.differences(preset_cell(cell.architecture))) for cell in turns] == [0, 0, 1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize("seconds", [0, -1, "nan", 1e9])
def test_a_time_that_is_none(seconds: object) -> None:
    ran = bench("try", "--seconds", seconds)
    assert ran.code == 2
    assert ran.err.startswith("bench: --seconds is 1 to 86400, not")


def _data(train: list[int], test: list[int], names: tuple[str, ...] | None = None) -> Data:
    generator = torch.Generator().manual_seed(0)

    def split(labels: list[int]) -> Split:
        images = torch.randint(256, (len(labels), 1, 6, 6), generator=generator, dtype=torch.uint8)
        return Split(images, torch.tensor(labels))

    return Data("few", split(train), split(test), classes=3, class_names=names)


def test_a_class_that_nothing_is_trained_on_is_wrong() -> None:
    check = check_data(_data([0, 0, 1], [0, 1], ("ant", "bee", "cow")))
    assert check.wrong == ["no training image is of cow: give each class some, or leave the class out"]


def test_what_a_look_at_the_figures_should_know() -> None:
    data = _data([0] * 8 + [1] * 4 + [2] * 2, [0, 0, 1, 1])
    copied = replace(data, held_out=Split(data.train.images[[0, 1, 8, 9]], data.held_out.labels))
    check = check_data(copied)
    assert check.wrong == []
    unseen, unequal, both = check.notes
    assert unseen.startswith("no test image is of class 2")
    assert unequal == ("classes have 2 to 8 training images: to say class 0 always gets 50.0% of the test images right")
    assert both.startswith("4 of the test images are training images as well")


def test_a_channel_that_says_nothing() -> None:
    data = _data([0, 1, 2], [0, 1, 2])
    data.train.images[:] = 7
    assert "a channel is the same number everywhere" in check_data(data).notes[-1]
