"""Data sets: digits as embedded, files as torchvision lays them out."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from bench.errors import UsageError
from bench.train.data import Data
from bench.train.datasets import (
    DATASETS,
    DataError,
    choose_dataset,
    fetch_dataset,
    find_dataset,
    idx_paths,
)
from tests.conftest import write_idx_files


def test_digits_are_split_by_class_and_complete(digits: Data) -> None:
    assert digits.input_shape == (1, 28, 28)
    assert digits.train.images.dtype == torch.uint8
    labels = torch.cat([digits.train.labels, digits.held_out.labels])
    expected = torch.from_numpy(np.bincount(load_digits().target))
    assert torch.equal(labels.bincount(), expected)
    share = digits.held_out.labels.bincount() / expected
    assert (share - 1 / 2).abs().max() < 0.01


def test_digits_resampled_still_look_like_digits(digits: Data) -> None:
    """Averaged back to 8x8, an image correlates with exactly the original it was made from."""
    small = torch.nn.functional.interpolate(digits.train.images[:50].float(), size=(8, 8), mode="area")
    originals = torch.from_numpy(load_digits().images).float().reshape(1797, 64)
    correlation = torch.corrcoef(torch.cat([small.reshape(50, 64), originals]))[:50, 50:]
    nearest = correlation.argmax(dim=1)
    assert torch.equal(torch.from_numpy(load_digits().target)[nearest], digits.train.labels[:50])
    assert len(set(nearest.tolist())) == 50


def test_pixel_statistics_are_those_of_the_training_images(digits: Data) -> None:
    pixels = digits.train.images.double() / 255
    mean, std = digits.pixel_mean_std
    assert mean == pytest.approx(pixels.mean().item(), rel=1e-12)
    assert std == pytest.approx(pixels.std(correction=0).item(), rel=1e-12)


def test_holding_out_is_fixed_and_takes_training_images_only(digits: Data) -> None:
    data = digits.hold_out(198)
    assert (len(data.train), len(data.held_out)) == (700, 198)
    assert torch.equal(data.held_out.images, digits.hold_out(198).held_out.images)

    def images(*splits: torch.Tensor) -> list[bytes]:
        return sorted(image.numpy().tobytes() for split in splits for image in split)

    assert images(data.train.images, data.held_out.images) == images(digits.train.images)
    with pytest.raises(UsageError, match="leaves nothing to train on"):
        digits.hold_out(898)


def test_digest_changes_with_one_pixel(digits: Data) -> None:
    images = digits.train.images.clone()
    images[0, 0, 0, 0] += 1
    changed = Data("digits", type(digits.train)(images, digits.train.labels), digits.held_out, 10)
    assert changed.digest != digits.digest


def test_files_are_read_as_images_and_labels(tmp_path: Path) -> None:
    write_idx_files(tmp_path / "FashionMNIST" / "raw")
    data = DATASETS["fashion_mnist"].load(tmp_path)
    assert data.train.images.shape == (20, 1, 28, 28)
    assert data.held_out.labels.shape == (10,)
    assert data.held_out.labels.dtype == torch.int64


def test_mnist_files_must_be_the_published_ones(tmp_path: Path) -> None:
    write_idx_files(tmp_path / "MNIST" / "raw")
    with pytest.raises(DataError, match=r"is not the published file .* delete it and run"):
        DATASETS["mnist"].load(tmp_path)


def test_absent_files_are_answered_with_both_ways_out(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data fetch kmnist .* or use --dataset digits"):
        DATASETS["kmnist"].load(tmp_path)


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    write_idx_files(tmp_path / "KMNIST" / "raw")
    idx_paths("KMNIST", tmp_path)[0].write_bytes(b"not images")
    with pytest.raises(DataError, match=r"the files of kmnist .* can't be read"):
        DATASETS["kmnist"].load(tmp_path)


def test_mnist_is_chosen_where_its_files_are(tmp_path: Path) -> None:
    assert choose_dataset(None, tmp_path)[0].name == "digits"
    write_idx_files(tmp_path / "MNIST" / "raw")
    assert choose_dataset(None, tmp_path)[0].name == "mnist"
    assert choose_dataset("digits", tmp_path)[0].name == "digits"


def test_names_are_checked() -> None:
    with pytest.raises(UsageError, match=r"did you mean (mnist|kmnist) or (mnist|kmnist)\?"):
        find_dataset("mmnist")
    with pytest.raises(UsageError, match="needs no files"):
        fetch_dataset("digits", Path("unused"))


def test_fetching_without_a_network_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import MNIST

    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(DataError, match=r"mnist can't be fetched .* try again with a network"):
        fetch_dataset("mnist", tmp_path)
