"""`bench try` finds what a study breaks, by name and with the line; where nothing is broken it says so."""

from pathlib import Path

import pytest

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
    assert "7 cells x 1 seeds = 7 trials" in ran.out
    assert "The whole plan: 7 trials, about" in ran.out
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
    "no gradient": (NET.replace(FORWARD, FORWARD + ".detach()"), "gradients", "logits that no gradient flows from"),
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
