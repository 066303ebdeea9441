"""The data sets by name: `digits` comes with scikit-learn, the others are files in MNIST's format."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BenchError, UsageError, near_matches
from bench.sources.dataset import Dataset
from bench.sources.idx import read_idx

if TYPE_CHECKING:
    from bench.train.data import Data

# SHA-256 of the four unpacked files: http://yann.lecun.com/exdb/mnist/ (LeCun, Cortes and Burges 1998).
MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
IDX_FILES = tuple(MNIST_SHA256)
CLASSES = 10
# What torchvision calls its classes, and the folders that it keeps their files in.
_FOLDERS = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}


class DataError(BenchError):
    """A data set's files are absent or aren't what they should be."""


def fetch_dataset(name: str, data_dir: Path) -> "Data":
    """Downloads a data set, verified against torchvision's checksums, and loads it. Raises BenchError."""
    import torchvision.datasets

    if name not in DATASETS:
        raise UsageError(f"no data set is called {name!r}: {near_matches(name, DATASETS)}")
    dataset = DATASETS[name]
    if name not in _FOLDERS:
        raise UsageError(f"{name} needs no files: it is embedded")
    folder = _FOLDERS[name]
    try:
        getattr(torchvision.datasets, folder)(str(data_dir), download=True)
    except (RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{name} can't be fetched ({reason}): try again with a network, or copy "
            f"{', '.join(IDX_FILES)} into {data_dir / folder / 'raw'}"
        ) from error
    return dataset.load(data_dir)


def idx_paths(folder: str, data_dir: Path) -> Sequence[Path]:
    """Where the four files of a data set lie, in torchvision's layout."""
    return [data_dir / folder / "raw" / file for file in IDX_FILES]


def _load_digits(_data_dir: Path) -> "Data":
    """The 1,797 handwritten digits of the UCI repository (Alpaydin and Kaynak 1998) that scikit-learn carries.

    8x8 images of 17 grey levels become 28x28 by bilinear resampling; half is the test set, stratified by class.
    """
    import numpy as np
    import torch
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    from bench.sources.making import Labelled, make_data

    bunch = load_digits()
    small = torch.from_numpy(bunch.images).float().unsqueeze(1) * (255 / 16)
    large = torch.nn.functional.interpolate(small, size=(28, 28), mode="bilinear", antialias=False)
    images = large.round().clamp(0, 255).to(torch.uint8).numpy()
    halves = train_test_split(np.arange(len(images)), test_size=1 / 2, stratify=bunch.target, random_state=0)
    train, test = (Labelled(images[half], bunch.target[half], "digits", "digits") for half in halves)
    return make_data("digits", train, test, classes=CLASSES)


def _load_idx(name: str, folder: str, sha256: Mapping[str, str], data_dir: Path) -> "Data":
    paths = idx_paths(folder, data_dir)
    absent = [path for path in paths if not path.exists()]
    if absent:
        raise DataError(
            f"{name} is not in {data_dir} ({absent[0].name} is missing): fetch it with "
            f"`python -m bench data fetch {name} --data-dir {data_dir}`, or use --dataset digits, which needs no files"
        )
    again = f"delete it and run `python -m bench data fetch {name} --data-dir {data_dir}`"
    for path in paths:
        if path.is_file() and path.name in sha256 and _sha256(path) != sha256[path.name]:
            raise DataError(f"{path} is not the published file (its SHA-256 differs): {again}")
    try:
        return read_idx(name, paths, CLASSES)
    except UsageError as error:
        raise DataError(f"{error}: {again}") from None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _idx_dataset(name: str, title: str, sha256: Mapping[str, str]) -> Dataset:
    folder = _FOLDERS[name]
    return Dataset(name, title, partial(_load_idx, name, folder, sha256), partial(idx_paths, folder))


DATASETS = {
    dataset.name: dataset
    for dataset in (
        _idx_dataset("mnist", "MNIST handwritten digits", MNIST_SHA256),
        # 898 images: 15 epochs of batches of 64 are too few steps for a plain network to leave chance.
        Dataset("digits", "scikit-learn's handwritten digits, resampled to 28x28", _load_digits, batch_size=16),
        _idx_dataset("fashion_mnist", "Fashion-MNIST clothing", {}),
        _idx_dataset("kmnist", "Kuzushiji-MNIST hiragana", {}),
    )
}
