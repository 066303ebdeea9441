"""What is a phase of training on another data set worth, by how many images there are?

`bench run transfer.py --dataset digits` asks it of MNIST for scikit-learn's digits, `--dataset mnist` of the digits for
MNIST. Fashion-MNIST and KMNIST join where their files are.
"""

from bench.study import Factor, Phase, Recipe, Study

# Data sets to begin with, and the epochs of a phase on each. EMNIST's digits and QMNIST are none of them: both hold
# images of MNIST's test set.
PHASES = {"mnist": 5, "digits": 15, "fashion_mnist": 5, "kmnist": 5}


def pretrained(recipe: Recipe, level: str) -> Recipe:
    """A phase; `frozen` keeps what it hands on as it is, `updates` makes as many on the trial's own images: a
    control."""
    data, _, how = level.partition(" ")
    return recipe.with_start(Phase(data, PHASES[data], frozen=how == "frozen", own_images=how == "updates"))


def in_words(level: str) -> str:
    """What a level is called in the report."""
    data, _, how = level.partition(" ")
    if how == "updates":
        return f"as many updates as with pretraining on {data}"
    return f"pretraining on {data}{' with a frozen body' if how else ''}"


LEVELS = [f"{data}{how}" for data in PHASES for how in ("", " frozen", " updates")]

STUDY = Study(
    architectures=["model3"],
    data=list(PHASES),
    design="transfer",
    factors=[
        Factor(
            "pretraining",
            levels=("off", *LEVELS),
            change=pretrained,
            words=("no pretraining", *map(in_words, LEVELS)),
            changes_step=False,
            design="transfer",
        ),
        Factor(
            "images_per_class",
            levels=("all", 10, 30, 100, 300),
            change=lambda recipe, level: recipe.with_images(per_class=level),
            changes_step=False,
            design="transfer",
        ),
    ],
)
