"""Data sets: digits as embedded, files as torchvision lays them out."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from bench.cli import run_command_line
from bench.errors import UsageError
from bench.record.store import Store
from bench.sources.dataset import choose_dataset, find_dataset
from bench.studies.data import DATASETS, DataError, fetch_dataset, idx_paths
from bench.train.data import Data, Split
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
    assert torch.equal(mean, pixels.mean().float().view(1, 1, 1))
    assert torch.equal(std, pixels.std(correction=0).float().view(1, 1, 1))


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


def cut(data: bytes) -> bytes:
    return data[:-1]


def with_another_magic(data: bytes) -> bytes:
    return b"\x1f\x8b\x08\x00" + data[4:]


def with_another_count(data: bytes) -> bytes:
    return data[:4] + struct.pack(">I", 2**31) + data[8:]


@pytest.mark.parametrize("file", range(4))
@pytest.mark.parametrize("lie", [cut, with_another_magic, with_another_count, lambda _: b"", lambda _: b"not images"])
def test_a_file_that_lies_is_named(tmp_path: Path, file: int, lie: Callable[[bytes], bytes]) -> None:
    write_idx_files(tmp_path / "KMNIST" / "raw")
    path = idx_paths("KMNIST", tmp_path)[file]
    path.write_bytes(lie(path.read_bytes()))
    with pytest.raises(DataError) as caught:
        DATASETS["kmnist"].load(tmp_path)
    assert str(path) in str(caught.value)
    assert "delete it and run `python -m bench data fetch kmnist" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_as_many_labels_as_images(tmp_path: Path) -> None:
    write_idx_files(tmp_path / "KMNIST" / "raw")
    path = idx_paths("KMNIST", tmp_path)[1]
    path.write_bytes(struct.pack(">II", 0x801, 19) + bytes(19))
    with pytest.raises(DataError, match="has 19 labels for the 20 images of train-images-idx3-ubyte"):
        DATASETS["kmnist"].load(tmp_path)


def test_a_label_that_is_no_class_is_named(tmp_path: Path) -> None:
    write_idx_files(tmp_path / "KMNIST" / "raw")
    path = idx_paths("KMNIST", tmp_path)[3]
    path.write_bytes(struct.pack(">II", 0x801, 10) + bytes([200] * 10))
    with pytest.raises(DataError, match="has label 200, and there are 10 classes"):
        DATASETS["kmnist"].load(tmp_path)


def write_images(folder: Path, sizes: tuple[int, int]) -> None:
    """Images of these sizes for training and testing, and their labels."""
    write_idx_files(folder)
    for file, count, size in (("train", 200, sizes[0]), ("t10k", 10, sizes[1])):
        header = struct.pack(">IIII", 0x803, count, size, size)
        pixels = np.arange(count * size * size).astype(np.uint8)
        (folder / f"{file}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
        labels = bytes(place % 10 for place in range(count))
        (folder / f"{file}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, count) + labels)


@pytest.mark.parametrize("size", [14, 30, 56])
def test_training_and_test_images_have_one_size(tmp_path: Path, size: int) -> None:
    write_images(tmp_path / "KMNIST" / "raw", (size, 28))
    with pytest.raises(DataError, match=f"train-images-idx3-ubyte has images of {size}x{size}, and t10k-.* of 28x28"):
        DATASETS["kmnist"].load(tmp_path)


@pytest.mark.parametrize("command", ["run --all --seeds 1 --no-report", "train --model model2", "speed", "status",
                                     "select --val 20", "run --all --plan --batch-size 199"])  # fmt: skip
@pytest.mark.parametrize("size", [1, 6])
def test_images_that_are_too_small_are_answered_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, size: int
) -> None:
    write_images(tmp_path / "KMNIST" / "raw", (size, size))
    places = ["--dataset", "kmnist", "--data-dir", str(tmp_path), "--results", str(tmp_path / "results")]
    assert run_command_line([*command.split(), *places]) == 2
    error = capsys.readouterr().err
    assert f"needs larger images than {size}x{size}" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "results").exists()


def test_what_is_too_large_for_the_images_is_left_out_and_the_rest_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On 14x14 images the unpadded networks shrink to nothing, the padded one doesn't."""
    write_images(tmp_path / "KMNIST" / "raw", (14, 14))
    places = ["--dataset", "kmnist", "--data-dir", str(tmp_path), "--results", str(tmp_path / "results")]
    command = "run --all --design presets --seeds 1 --epochs 1 --workers 0 --no-timing --no-report --precision fp32"
    assert run_command_line([*command.split(), *places]) == 1
    said = capsys.readouterr()
    for model in ("model1", "model2"):
        assert f"bench: left out: {model} can't be built for images of 1x14x14: it needs larger images" in said.err
    assert "1 cells x 1 seeds = 1 trials" in said.out
    assert Store(tmp_path / "results" / "kmnist").trials()["architecture"].tolist() == ["model3"]


@pytest.mark.parametrize("file", range(4))
def test_what_stands_in_a_files_place_is_named(tmp_path: Path, file: int) -> None:
    write_idx_files(tmp_path / "KMNIST" / "raw")
    path = idx_paths("KMNIST", tmp_path)[file]
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=f"{path.name} is no file"):
        DATASETS["kmnist"].load(tmp_path)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(DataError, match=f"{path.name} is no file"):
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


def test_data_of_other_shapes_types_or_classes_have_other_digests(digits: Data) -> None:
    """Whatever their bytes are."""
    train, test = digits.train.take(torch.arange(40)), digits.held_out.take(torch.arange(20))
    wide = Split(train.images.view(40, 1, 14, 56), train.labels), Split(test.images.view(20, 1, 14, 56), test.labels)
    cut = Split(train.images[:30], train.labels[:30]), Split(test.images, test.labels)
    variants = [Data("digits", train, test, 10), Data("digits", train, test, 11), Data("digits", *wide, 10)]
    variants += [
        Data("digits", *cut, 10),
        Data("digits", Split(train.images.view(40, 4, 14, 14), train.labels), test, 10),
    ]
    assert len({data.digest for data in variants}) == len(variants)
    assert Data("another name", train, test, 10).digest == variants[0].digest
