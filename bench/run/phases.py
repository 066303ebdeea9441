"""What trials begin with: the data sets that their phases train on, and files of what phases and teachers learned, for
all to share."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, uint8

from bench.errors import BenchError
from bench.plan.trials import Trial
from bench.record.replacing import replacing
from bench.sources.dataset import find_other_dataset
from bench.train.data import Data
from bench.train.few import FewError, few_of_each
from bench.train.fit import check_batches
from bench.train.identity import phase_key
from bench.train.kept import Learned
from bench.train.network_identity import network_part
from bench.train.recipe import recipe_of
from bench.train.start import First, StartError, first_of
from bench.train.taught import teachers_of

# Beside the rows. A folder that may be deleted: what isn't there is learned again.
FOLDER = "phases"


@dataclass(frozen=True)
class PhaseFiles:
    """Keeps what was learned in a folder, a file each: whoever asks first trains, who asks meanwhile waits. A file that
    isn't whole is replaced; where the folder can't be written, as on a node that lacks the one around it, everyone
    trains."""

    folder: Path

    def has(self, key: str) -> bool:
        """Whether there is a file under `key`."""
        return self._path(key).is_file()

    def __call__(self, key: str, learn: Callable[[], Learned]) -> Learned:
        """What is kept under `key`, or what `learn` gives."""
        path, lock = self._path(key), self.folder / f".{key}.lock"
        try:
            self.folder.mkdir(exist_ok=True)
            held = FileLock(lock)
            held.acquire()
        except (OSError, NotImplementedError):
            return learn()
        try:
            found = read_learned(path)
            if found is None:
                found = learn()
                with suppress(OSError):
                    write_learned(path, found)
            # By now there is something to find for who got hold of it before it was gone.
            with suppress(OSError):
                lock.unlink(missing_ok=True)
            return found
        finally:
            held.release()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"


def write_learned(path: Path, learned: Learned) -> None:
    """Writes what was learned, whole or not at all. Raises OSError."""
    said = {"updates": str(learned.updates), "seconds": learned.seconds.hex()}
    content = save(dict(learned.weights), {**said, "digest": _digest(learned)})
    with replacing(path) as file:
        file.write(content)


def read_learned(path: Path) -> Learned | None:
    """What a file holds; None where there is none, or one that isn't as it was written."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            said = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no dictionary
        found = Learned(weights, int(said["updates"]), float.fromhex(said["seconds"]))
    except (SafetensorError, OSError, ValueError, KeyError, OverflowError):
        return None
    return found if said.get("digest") == _digest(found) else None


def _digest(learned: Learned) -> str:
    digest = hashlib.sha256(f"{learned.updates} {learned.seconds.hex()}".encode())
    for name, value in sorted(learned.weights.items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(_bytes(value))
    return digest.hexdigest()


def _bytes(value: Tensor) -> bytes:
    return value.contiguous().reshape(-1).view(uint8).numpy().tobytes()


def with_others(
    data: Data, trials: Iterable[Trial], data_dir: Path, folder: Path | None = None
) -> tuple[Data, dict[str, BenchError]]:
    """The data with those that the trials' phases train on, and with a place beside the rows in `folder`, where there
    is one, for what these and teachers learn, which means the same in whatever folder a worker works; and why some
    can't be loaded, by name. Raises UsageError for the name of no data set."""
    others: dict[str, Data] = {}
    absent: dict[str, BenchError] = {}
    recipes = list({trial.cell: recipe_of(trial) for trial in trials}.values())
    for name in dict.fromkeys(recipe.start.data for recipe in recipes if recipe.start is not None):
        dataset = find_other_dataset(name)
        if name == data.name:
            continue
        try:
            others[name] = dataset.load(data_dir)
        except BenchError as error:
            absent[name] = error
    if not others and all(recipe.teacher is None for recipe in recipes):
        return data, absent
    return replace(data, others=others, keep=PhaseFiles(folder.absolute() / FOLDER) if folder else data.keep), absent


def check_beginning(trial: Trial, data: Data, absent: Mapping[str, BenchError]) -> None:
    """Raises FewError or StartError for a trial that can't have the images or the phase that it is to begin with,
    UsageError for batches that these are too few for and for teachers that there can't be."""
    recipe = recipe_of(trial)
    if recipe.trains_as_usual and recipe.images_per_class is None:
        return
    own = few_of_each(data, recipe.images_per_class, trial.seed)
    check_batches(trial, own)
    if recipe.start is not None:
        if recipe.start.data in absent:
            raise StartError(str(absent[recipe.start.data]))
        first = first_of(trial, own, recipe, recipe.start)
        check_batches(first.trial, first.data)
    if recipe.teacher is not None:
        first, *_ = teachers_of(trial, own, recipe.teacher)
        network_part(first.trial.cell, own.input_shape, own.classes)


def phases_to_learn(trials: Iterable[Trial], data: Data) -> dict[str, First]:
    """What the trials begin with, phases and their teachers' trainings, where it isn't kept, each once, by key."""
    found: dict[str, First] = {}
    for trial in trials:
        recipe = recipe_of(trial)
        if recipe.start is None and recipe.teacher is None:
            continue
        own = few_of_each(data, recipe.images_per_class, trial.seed)
        firsts = [] if recipe.start is None else [first_of(trial, own, recipe, recipe.start)]
        firsts += [] if recipe.teacher is None else teachers_of(trial, own, recipe.teacher)
        found |= {phase_key(first): first for first in firsts}
    kept = data.keep.has if isinstance(data.keep, PhaseFiles) else lambda _key: False
    return {key: first for key, first in found.items() if not kept(key)}


def images_an_epoch(trial: Trial, data: Data) -> int:
    """How many images a trial trains on."""
    each = recipe_of(trial).images_per_class
    return len(data.train) if each is None else min(each * data.classes, len(data.train))


# What keeps a cell from being trained on some data, which isn't the fault of the others.
NOT_HERE = (FewError, StartError)
