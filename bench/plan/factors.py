"""A technique that can be switched, and those that come with the harness."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from bench.errors import UsageError
from bench.plan import arguments
from bench.plan.levels import Level, Levels, format_level

# What a factor's name is: a keyword of a builder, and a column of the rows.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII).fullmatch

_LONGEST_LEVEL = 40
_LONGEST_OPEN_LEVEL = 240

# Of a factor that any text is a level of, what it is where it doesn't apply.
_NOWHERE = "none"

# What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@")

# Columns that rows have anyway: the levels of a factor called so stand under `factor_` and its name.
TAKEN = frozenset(
    {
        *("schema", "trial", "run", "design", "dataset", "architecture", "levels", "seed", "epochs", "batch_size"),
        *("optimizer", "lr", "selected_lr", "precision", "device", "val", "status", "error", "test_accuracy"),
        *("test_loss", "val_accuracy", "val_loss", "train_accuracy", "train_loss", "best_test_accuracy"),
        *("epochs_to_99", "parameters", "macs", "receptive_field", "train_seconds", "train_images_per_second"),
        *("peak_memory_bytes", "started_at", "input", "classes", "network", "training", "data", "code", "machine"),
        *("metric", "round", "images", "seconds", "threads", "arm", "loader_workers", "processes", "memory_bytes"),
        *("training_bytes", "layers", "study", "source", "cell", "is_preset", "step_macs", "peak_flops"),
        *("train_accuracy_undistorted", "train_loss_undistorted"),
        *("train_images", "phase", "phase_updates", "phase_seconds", "teacher_seconds", "training_parameters"),
        *("epoch", "image", "label", "predicted", "right", "machine_cpu", "machine_vectors", "machine_cores"),
        *("machine_memory_bytes", "machine_gpu", "machine_os", "machine_python", "machine_torch", "machine_cuda"),
        *("vectors", "torch", "copied_bytes"),
    }
)


# Stands for what follows from the rest, and is filled in when a factor is made.
_UNSAID: Any = None


@dataclass(frozen=True, slots=True)
class Factor:
    """A technique that can be switched: its name, its levels, and `off`, its absence (the first level, if not said).

    A factor of the network is a keyword of the builders it applies to. A factor of the training says by `change`,
    called with a recipe and a level, what recipe a level other than `off` trains with.

    `on` is the level that stands for the technique where one does, the first that isn't `off` if not said. `words` says
    each level in a sentence, in the order of `levels`; `summary` what the technique is. `changes_network` says whether
    the level changes what the network computes, `changes_shapes` whether also the shapes of its weights, `changes_step`
    whether a training step costs another time. Of an `is_open` one every text is a level, as a search suggests them:
    `levels` are those that presets have, designs don't vary it, and it is `off` where it doesn't apply. `design` is the
    one that varies it, as "transfer", where that is not the usual ones: these leave it out unless they are asked for it
    by name.

    Raises UsageError for a name, a level or an `off` that can't be.
    """

    name: str
    levels: Sequence[Level]
    off: Level = _UNSAID
    change: Callable[[Any, Any], Any] | None = None
    _: KW_ONLY
    on: Level = _UNSAID
    words: Sequence[str] = ()
    summary: str = ""
    changes_network: bool = _UNSAID
    changes_shapes: bool = _UNSAID
    changes_step: bool = True
    is_open: bool = False
    design: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME(self.name):
            raise UsageError(
                f"a factor's name is a word in small letters like label_smoothing, up to 40 of them, not {self.name!r}"
            )
        levels = _checked(self.name, self.levels, self.is_open)
        put = object.__setattr__
        put(self, "levels", levels)
        if self.is_open:
            put(self, "off", self.off or _NOWHERE)
            put(self, "on", self.on or levels[0])
        put(self, "off", levels[0] if self.off is None else self._level("off", self.off))
        put(self, "on", next(x for x in levels if x != self.off) if self.on is None else self._level("on", self.on))
        if self.change is not None and not callable(self.change):
            raise UsageError(
                f"factor {self.name}: change is a function (recipe, level) that returns a recipe, not {self.change!r}"
            )
        arguments.text(f"factor {self.name}: summary", self.summary)
        arguments.text(f"factor {self.name}: design", self.design)
        for word in arguments.listed(f"factor {self.name}: words", "('no blur', 'blur')", self.words):
            arguments.text(f"factor {self.name}: the words of a level", word)
        put(self, "words", tuple(self.words) or tuple(self._in_plain_words(level) for level in levels))
        if len(self.words) != len(levels):
            raise UsageError(f"factor {self.name} has {len(levels)} levels and words for {len(self.words)}")
        if self.changes_network is None:
            put(self, "changes_network", self.change is None)
        if self.changes_shapes is None:
            put(self, "changes_shapes", self.changes_network)

    @property
    def is_looked_up(self) -> bool:
        """Whether the harness knows what its levels train with, without a change or a builder that says so."""
        return self.change is None and not self.changes_network and self.name in LOOKED_UP

    @property
    def column(self) -> str:
        """Where rows hold the level: under the factor's name, unless rows have such a column anyway."""
        return f"factor_{self.name}" if self.name in TAKEN else self.name

    def flips(self, level: Level) -> tuple[Level, ...]:
        """The other levels, in order: what a toggle compares this one with."""
        return tuple(other for other in self.levels if other != level)

    def in_words(self, level: Level) -> str:
        """The level as a sentence calls it."""
        return self.words[self.levels.index(level)] if level in self.levels else self._in_plain_words(level)

    def place(self, level: Level) -> int:
        """The level's place in their order; of an open factor's others that after the last."""
        return self.levels.index(level) if level in self.levels or not self.is_open else len(self.levels)

    @property
    def off_is_absence(self) -> bool:
        """Whether `off` is said in words as something that isn't there, or that needn't be named beside another level;
        a width of 4 is no absence of width."""
        return self.in_words(self.off) != f"{self.name.replace('_', ' ')} {format_level(self.off)}"

    def parse(self, text: str) -> Level:
        """The level written as `text`. Raises UsageError."""
        for level in self.levels:
            if format_level(level) == text:
                return level
        if self.is_open and _is_word(text, _LONGEST_OPEN_LEVEL):
            return text
        written = [format_level(level) for level in self.levels]
        raise UsageError(f"{self.name} has no level {text!r}: there are {', '.join(written)}")

    def checked(self, level: object) -> Level:
        """The level, as one of the factor's. Raises UsageError for another."""
        return self._level("a level", level)

    def written(self, level: Level) -> str | float:
        """What the rows' column holds: on and off for a switch, numbers where all levels are, text otherwise."""
        return format_level(level) if any(isinstance(one, bool | str) for one in self.levels) else level

    def read(self, value: object) -> Level:
        """The inverse of `written`; nothing, as in a row written before the factor existed, is off. Raises
        ValueError."""
        if value is None or value == "":
            return self.off
        for level in self.levels:
            if self.written(level) == value or format_level(level) == value:
                return level
        if self.is_open and isinstance(value, str) and _is_word(value, _LONGEST_OPEN_LEVEL):
            return value
        raise ValueError(f"{self.name} has no level {value!r}")

    def with_levels(self, levels: Sequence[Level]) -> "Factor":
        """The same factor with other levels, in plain words where it had none for them."""
        words = [self.in_words(level) if level in self.levels else self._in_plain_words(level) for level in levels]
        return Factor(
            self.name,
            levels,
            self.off,
            self.change,
            on=self.on if self.on in levels else _UNSAID,
            words=words,
            summary=self.summary,
            changes_network=self.changes_network,
            changes_shapes=self.changes_shapes,
            changes_step=self.changes_step,
            is_open=self.is_open,
            design=self.design,
        )

    def _level(self, what: str, level: object) -> Level:
        for one in self.levels:
            if one == level and isinstance(one, bool) == isinstance(level, bool):
                return one
        if self.is_open and isinstance(level, str) and _is_word(level, _LONGEST_OPEN_LEVEL):
            return level
        written = ", ".join(map(repr, self.levels))
        raise UsageError(f"factor {self.name}: {what}={level!r} is none of its levels {written}")

    def _in_plain_words(self, level: Level) -> str:
        name = self.name.replace("_", " ")
        if level == self.off and level in (False, 0, "off", "none"):
            return f"no {name}"
        return name if level is True else f"{name} {format_level(level)}"


def _checked(name: str, levels: Sequence[Level], is_open: bool) -> tuple[Level, ...]:
    longest = _LONGEST_OPEN_LEVEL if is_open else _LONGEST_LEVEL
    if isinstance(levels, str) or not isinstance(levels, Sequence):
        raise UsageError(f"factor {name}: levels are a tuple of two or more, as in (0.0, 0.1), not {levels!r}")
    for level in levels:
        if not isinstance(level, bool | int | float | str):
            raise UsageError(
                f"factor {name}: a level is True or False, a number or a text, not {level!r}; what a text stands for "
                "is for the builder, or the factor's change, to say"
            )
        if isinstance(level, float) and not math.isfinite(level):
            raise UsageError(f"factor {name}: a level is a finite number, not {level}")
        if is_open and not isinstance(level, str):
            raise UsageError(f"factor {name}: of an open factor levels are texts, not {level!r}")
        if isinstance(level, str) and not _is_word(level, longest):
            raise UsageError(
                f"factor {name}: a level's text is printable, without blanks at its ends or commas, up to "
                f"{longest} long, and begins like no spreadsheet formula, not {level!r}"
            )
    if len(levels) < (1 if is_open else 2):
        raise UsageError(
            f"factor {name} has {len(levels)} level, so that there is nothing to compare: give two or more"
        )
    written = [format_level(level) for level in levels]
    for at, level in enumerate(levels):
        if level in levels[:at] or written[at] in written[:at]:
            raise UsageError(f"factor {name} has the level {written[at]} twice")
    return tuple(levels)


def _is_word(text: str, longest: int) -> bool:
    fits = 0 < len(text) <= longest and text.isprintable() and " ".join(text.split()) == text
    return fits and "," not in text and not text.startswith(_FORMULA)


def level_of(levels: Levels, factor: Factor) -> Level:
    """The level that `levels` gives `factor`; its `off` where they don't name it."""
    return levels.get(factor.name, factor.off)


# What comes with the harness: a factor of the network applies to every builder that has such a keyword.
HARNESS = (
    Factor(
        "batch_norm",
        (False, True),
        words=("no batch norm", "batch norm"),
        summary="batch norm after every hidden convolution",
    ),
    Factor(
        "gap",
        (False, True),
        words=("a linear layer", "global average pooling"),
        summary="global average pooling instead of a linear layer at the end",
    ),
    Factor(
        "dropout",
        (0.0, 0.1),
        words=("no dropout", "dropout 0.1"),
        summary="dropout rate after every hidden block",
        changes_shapes=False,
    ),
    Factor(
        "augmentation",
        ("none", "basic", "advanced"),
        words=("no augmentation", "basic augmentation", "advanced augmentation"),
        summary="how training images are distorted",
        changes_network=False,
    ),
    Factor(
        "scheduler",
        ("step", "cosine", "onecycle"),
        on="onecycle",
        words=("a constant rate for 15 epochs", "the cosine schedule", "the one-cycle schedule"),
        summary="how the learning rate moves: to a tenth every 15 epochs; along a cosine to 0; up to a peak and down",
        changes_network=False,
        changes_step=False,
    ),
)

# By name, those of the harness's that change the training, whose levels it looks up in tables of its own.
LOOKED_UP = {factor.name: factor for factor in HARNESS if not factor.changes_network}
