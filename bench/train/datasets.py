"""The data sets by name: `digits` comes with scikit-learn, the others are files in MNIST's format."""

import hashlib
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.errors import BenchError, UsageError, near_matches
from bench.plan.catalogue import catalogue
from bench.train.data import Data, Split

# SHA-256 of the four unpacked files: http://yann.lecun.com/exdb/mnist/ (LeCun, Cortes and Burges 1998).
MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
IDX_FILES = tuple(MNIST_SHA256)
CLASSES = 10


class DataError(BenchError):
    """A data set's files are absent or aren't what they should be."""


@dataclass(frozen=True)
class Dataset:
    """A data set that can be loaded. `folder` is where torchvision keeps its files, None where it has none."""

    name: str
    title: str
    folder: str | None
    load: Callable[[Path], Data]

    def present(self, data_dir: Path) -> bool:
        """Whether its files are in `data_dir`; always for a data set without files."""
        return self.folder is None or all(path.exists() for path in idx_paths(self.folder, data_dir))


def find_dataset(name: str) -> Dataset:
    """The study's data set called `name`. Raises UsageError with near matches."""
    known = catalogue().datasets
    if name not in known:
        raise UsageError(f"no data set is called {name!r}: {near_matches(name, known)}")
    found: Dataset = known[name]
    return found


def choose_dataset(name: str | None, data_dir: Path) -> tuple[Dataset, str]:
    """The data set to use and, in half a sentence, why. Without a name: the study's first whose files are there."""
    if name is not None:
        return find_dataset(name), "as asked"
    known: list[Dataset] = list(catalogue().datasets.values())
    for at, dataset in enumerate(known):
        if dataset.present(data_dir):
            absent = [one.name for one in known[:at]]
            reason = f"its files are in {data_dir}" if dataset.folder else "needs no files"
            return dataset, f"{reason}; no {' or '.join(absent)} files in {data_dir}" if absent else reason
    return known[0], "the study's"


def idx_paths(folder: str, data_dir: Path) -> list[Path]:
    """Where the four files of a data set lie, in torchvision's layout."""
    return [data_dir / folder / "raw" / file for file in IDX_FILES]


def _load_digits(_data_dir: Path) -> Data:
    """The 1,797 handwritten digits of the UCI repository (Alpaydin and Kaynak 1998) that scikit-learn carries.

    8x8 images of 17 grey levels become 28x28 by bilinear resampling; half is the test set, stratified by class.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    small = torch.from_numpy(bunch.images).float().unsqueeze(1) * (255 / 16)
    large = torch.nn.functional.interpolate(small, size=(28, 28), mode="bilinear", antialias=False)
    images = large.round().clamp(0, 255).to(torch.uint8)
    labels = torch.from_numpy(bunch.target).long()
    train, test = train_test_split(np.arange(len(labels)), test_size=1 / 2, stratify=bunch.target, random_state=0)
    whole = Split(images, labels)
    return Data("digits", whole.take(torch.from_numpy(train)), whole.take(torch.from_numpy(test)), classes=10)


def _load_idx(name: str, folder: str, sha256: Mapping[str, str], data_dir: Path) -> Data:
    paths = idx_paths(folder, data_dir)
    absent = [path for path in paths if not path.exists()]
    if absent:
        raise DataError(
            f"{name} is not in {data_dir} ({absent[0].name} is missing): fetch it with "
            f"`python -m bench data fetch {name} --data-dir {data_dir}`, or use --dataset digits, which needs no files"
        )
    for path in paths:
        if not path.is_file():  # a pipe would be waited for
            raise DataError(f"{path} is no file: remove what is in its place")
        if path.name in sha256 and _sha256(path) != sha256[path.name]:
            raise DataError(
                f"{path} is not the published file (its SHA-256 differs): "
                f"delete it and run `python -m bench data fetch {name} --data-dir {data_dir}`"
            )
    again = f"delete it and run `python -m bench data fetch {name} --data-dir {data_dir}`"
    shapes = [_shape(path, again) for path in paths]
    for images, labels in ((0, 1), (2, 3)):
        if shapes[images][0] != shapes[labels][0]:
            raise DataError(
                f"{paths[labels]} has {shapes[labels][0]:,} labels for the {shapes[images][0]:,} images of "
                f"{paths[images].name}: {again}"
            )
    if shapes[0][1:] != shapes[2][1:]:
        train_size, test_size = ("x".join(map(str, shape[1:])) for shape in (shapes[0], shapes[2]))
        raise DataError(f"{paths[0]} has images of {train_size}, and {paths[2].name} of {test_size}: {again}")
    train_images, train_labels, test_images, test_labels = map(_values, paths, shapes)
    train = Split(train_images.unsqueeze(1), train_labels.long())
    test = Split(test_images.unsqueeze(1), test_labels.long())
    for path, split in ((paths[1], train), (paths[3], test)):
        if int(split.labels.max()) >= CLASSES:
            raise DataError(f"{path} has label {int(split.labels.max())}, and there are {CLASSES} classes: {again}")
    return Data(name, train, test, CLASSES)


def _shape(path: Path, way_out: str) -> tuple[int, ...]:
    """The shape of an IDX file's images or labels, when its magic number, its sizes and its length agree.

    The format stands at http://yann.lecun.com/exdb/mnist/: 0x803 and three sizes before images, 0x801 and one before
    labels, big-endian. A file whose length lies isn't read, however long it is. Raises DataError.
    """
    magic, sizes = (0x803, 3) if "images" in path.name else (0x801, 1)
    with path.open("rb") as file:
        header = file.read(4 + 4 * sizes)
    if len(header) < 4 + 4 * sizes or int.from_bytes(header[:4], "big") != magic:
        raise DataError(f"{path} is no IDX file of {'images' if sizes == 3 else 'labels'}: {way_out}")
    shape: tuple[int, ...] = struct.unpack(f">{sizes}I", header[4:])
    length = path.stat().st_size
    if len(header) + math.prod(shape) != length or 0 in shape:
        raise DataError(
            f"{path} is {length:,} bytes long, which is not what its header says "
            f"({' x '.join(map(str, shape))}): {way_out}"
        )
    return shape


def _values(path: Path, shape: tuple[int, ...]) -> Tensor:
    """The bytes behind an IDX file's header, uint8."""
    return torch.from_numpy(np.fromfile(path, dtype=np.uint8, offset=4 + 4 * len(shape)).reshape(shape))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _idx_dataset(name: str, title: str, folder: str, sha256: Mapping[str, str]) -> Dataset:
    def load(data_dir: Path) -> Data:
        return _load_idx(name, folder, sha256, data_dir)

    return Dataset(name, title, folder, load)


DATASETS = {
    dataset.name: dataset
    for dataset in (
        _idx_dataset("mnist", "MNIST handwritten digits", "MNIST", MNIST_SHA256),
        Dataset("digits", "scikit-learn's handwritten digits, resampled to 28x28", None, _load_digits),
        _idx_dataset("fashion_mnist", "Fashion-MNIST clothing", "FashionMNIST", {}),
        _idx_dataset("kmnist", "Kuzushiji-MNIST hiragana", "KMNIST", {}),
    )
}


def fetch_dataset(name: str, data_dir: Path) -> Data:
    """Downloads a data set, verified against torchvision's checksums, and loads it. Raises BenchError."""
    import torchvision.datasets

    dataset = find_dataset(name)
    if dataset.folder is None:
        raise UsageError(f"{name} needs no files: it is embedded")
    try:
        getattr(torchvision.datasets, dataset.folder)(str(data_dir), download=True)
    except (RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{name} can't be fetched ({reason}): try again with a network, or copy "
            f"{', '.join(IDX_FILES)} into {data_dir / dataset.folder / 'raw'}"
        ) from error
    return dataset.load(data_dir)
