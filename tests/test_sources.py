"""Data sets of a user's own: what is read is what was written, and what can't be read is said in one line."""

import gzip
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bench.errors import UsageError
from bench.plan.cells import preset_cell
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.sources.arrays import from_arrays, npz
from bench.sources.dataset import Dataset
from bench.sources.folder import image_folder
from bench.sources.idx import from_idx
from bench.sources.published import from_torchvision, hugging_face
from bench.train.data import Data
from bench.train.fit import fit

COLOURS = {"blue": (20, 30, 200), "green": (30, 180, 40), "red": (210, 20, 30)}


def noise(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def loaded(dataset: Dataset, data_dir: Path = Path("unused")) -> Data:
    return dataset.load(data_dir)


def idx_source(paths: Sequence[Path], classes: int | None = None) -> Dataset:
    train_images, train_labels, test_images, test_labels = paths
    return from_idx("things", train_images, train_labels, test_images, test_labels, classes)


# Arrays


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [np.asarray, torch.tensor, lambda values: np.asarray(values).tolist()])
def test_arrays_are_taken_in_either_layout(channels: int, kind: Callable[[object], object]) -> None:
    first = noise(14, channels, 6, 9)
    labels = np.arange(14) % 7
    for images in (first, np.moveaxis(first, 1, 3), *([first[:, 0]] if channels == 1 else [])):
        data = loaded(from_arrays("things", (kind(images), kind(labels)), (kind(images[:7]), kind(labels[:7]))))
        assert data.input_shape == (channels, 6, 9)
        assert data.classes == 7
        assert data.class_names is None
        assert (data.train.images.numpy() == first).all()
        assert data.held_out.labels.tolist() == list(range(7))
        assert (data.train.images.dtype, data.train.labels.dtype) == (torch.uint8, torch.int64)
        assert data.train.images.is_contiguous()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", "int64", "uint16", "bool"])
def test_pixels_become_eight_bits(dtype: str) -> None:
    images = noise(10, 5, 5)
    given: Any = images
    if np.dtype(dtype).kind == "f":
        given = (images / 255).astype(dtype)
    elif dtype == "bool":
        given, images = images > 127, np.where(images > 127, 255, 0)
    else:
        given = images.astype(dtype)
    data = loaded(from_arrays("things", (given, np.arange(10) % 2)))
    both = torch.cat([data.train.images, data.held_out.images])
    assert sorted(image.numpy().tobytes() for image in both) == sorted(i.astype(np.uint8).tobytes() for i in images)


def test_bfloat16_images_are_taken() -> None:
    images = torch.rand(10, 5, 5).bfloat16()
    data = loaded(from_arrays("things", (images, [0, 1] * 5), (images, [0, 1] * 5)))
    assert torch.equal(data.train.images[:, 0], (images.double() * 255).round().to(torch.uint8))


@pytest.mark.parametrize("labels", [["b", "a", "c"] * 4, np.array(["b", "a", "c"] * 4, dtype=object),
                                    np.array([b"b", b"a", b"c"] * 4)])  # fmt: skip
def test_names_are_numbered(labels: Any) -> None:
    given = (noise(12, 5, 5), labels)
    data = loaded(from_arrays("things", given, given))
    assert data.class_names == ("a", "b", "c")
    assert data.train.labels[:3].tolist() == [1, 0, 2]
    ordered = loaded(from_arrays("things", given, given, classes=["c", "b", "a", "never seen"]))
    assert (ordered.classes, ordered.class_names) == (4, ("c", "b", "a", "never seen"))
    assert ordered.train.labels[:3].tolist() == [1, 2, 0]
    assert ordered.hold_out(3).class_names == ordered.class_names


def test_names_travel_to_nodes_of_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.run.ray_driver import _arrays, _data

    given = (noise(12, 5, 5), [0, 1, 2] * 4)
    data = loaded(from_arrays("things", given, given, classes=list("xyz")))
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get=lambda _: _arrays(data)))
    there = _data("a reference")
    assert (there.class_names, there.classes, there.digest) == (("x", "y", "z"), 3, data.digest)


def test_names_are_no_part_of_the_digest() -> None:
    given = (noise(12, 5, 5), [0, 1, 2] * 4)
    named = loaded(from_arrays("a", given, given, classes=list("xyz")))
    assert named.digest == loaded(from_arrays("b", given, given)).digest


def test_labels_in_a_column_are_taken() -> None:
    """As Keras has them."""
    data = loaded(from_arrays("things", (noise(12, 5, 5), np.arange(12).reshape(12, 1) % 3)))
    assert data.classes == 3


def test_a_split_is_fixed_and_has_every_class() -> None:
    labels = np.array([0] * 50 + [1] * 20 + [2] * 2)
    images = np.arange(72, dtype=np.uint8)[:, None, None] * np.ones((1, 5, 5), np.uint8)
    first, again = (loaded(from_arrays("things", (images, labels), test_share=0.3)) for _ in range(2))
    assert first.digest == again.digest
    assert torch.cat([first.train.labels, first.held_out.labels]).bincount().tolist() == [50, 20, 2]
    assert first.held_out.labels.bincount().tolist() == [15, 6, 1]
    seen = [*first.train.images[:, 0, 0, 0].tolist(), *first.held_out.images[:, 0, 0, 0].tolist()]
    assert sorted(seen) == list(range(72))


def test_nothing_is_read_before_it_is_loaded(tmp_path: Path) -> None:
    """A study file is imported in many places where its pictures aren't."""
    for source in (image_folder(tmp_path / "no"), npz(tmp_path / "no.npz"), idx_source([tmp_path / "no"] * 4)):
        assert not source.present(tmp_path)
    assert from_arrays("x", (None, None)).present(tmp_path)


def test_importing_the_sources_is_cheap() -> None:
    import subprocess

    code = (
        "import sys, bench.sources.arrays, bench.sources.folder, bench.sources.idx, bench.sources.published, "
        "bench.studies.data; bench.sources.folder.image_folder('x'); "
        "print([name for name in ('torch', 'numpy', 'PIL', 'torchvision', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Statistics


def test_statistics_are_by_channel() -> None:
    images = noise(20, 3, 7, 5)
    images[:, 1] //= 4
    images[:, 2] = 99
    with torch.inference_mode():  # as when networks are measured first
        mean, std = loaded(from_arrays("things", (images, [0, 1] * 10), (images, [0, 1] * 10))).pixel_mean_std
    assert (mean.shape, std.shape) == ((3, 1, 1), (3, 1, 1))
    assert (mean.dtype, std.dtype) == (torch.float32, torch.float32)
    assert not mean.is_inference()
    pixels = images / 255
    assert mean.flatten().tolist() == pytest.approx(pixels.mean((0, 2, 3)), rel=1e-6)
    assert std.flatten()[:2].tolist() == pytest.approx(pixels.std((0, 2, 3))[:2], rel=1e-6)
    assert std.flatten()[2] == 1


# Files


def write_idx(path: Path, array: Any, kind: int = 8) -> None:
    head = struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape)
    content = head + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files_of_any_size_and_type(tmp_path: Path, suffix: str) -> None:
    images, labels = noise(40, 12, 20), np.arange(40) % 20 * 25
    paths = [tmp_path / f"{name}{suffix}" for name in ("a", "b", "c", "d")]
    write_idx(paths[0], images)
    write_idx(paths[1], labels.astype(">i4"), 0x0C)
    write_idx(paths[2], noise(4, 12, 20, seed=1))
    write_idx(paths[3], labels[:4].astype(">i2"), 0x0B)
    source = idx_source(paths, 500)
    assert source.present(tmp_path)
    data = loaded(source)
    assert (data.train.images[:, 0].numpy() == images).all()
    assert data.train.labels.tolist() == labels.tolist()
    assert data.classes == 500
    assert data.held_out.labels.tolist() == [0, 25, 50, 75]


@pytest.mark.parametrize("keys", [("x_train", "y_train", "x_test", "y_test"), ("images", "labels"),
                                  ("train_images", "train_labels", "test_images", "test_labels")])  # fmt: skip
def test_npz_files(tmp_path: Path, keys: Sequence[str]) -> None:
    images, labels = noise(30, 8, 9, 3), np.arange(30) % 5
    arrays: dict[str, Any] = {key: images if key[0] in "xi" or "images" in key else labels for key in keys}
    np.savez_compressed(tmp_path / "things.npz", **arrays, val_images=np.zeros(3))
    data = loaded(npz(tmp_path / "things.npz"))
    assert (data.name, data.input_shape, data.classes) == ("things", (3, 8, 9), 5)
    assert len(data.train) == (30 if len(keys) == 4 else 25)


def write_pictures(folder: Path, per_class: int = 4, names: Sequence[str] = tuple(COLOURS)) -> None:
    draws = np.random.default_rng(0)
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            pixels = np.clip(draws.normal(COLOURS[name], 40, (20, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


def test_a_folder_of_pictures(tmp_path: Path) -> None:
    write_pictures(tmp_path / "train", 5)
    write_pictures(tmp_path / "test", 2)
    (tmp_path / "train" / ".hidden").mkdir()
    (tmp_path / "train" / "red" / "Thumbs.db").write_text("no picture")
    data = loaded(image_folder(tmp_path, size=None, name="colours"))
    assert data.class_names == ("blue", "green", "red")
    assert data.input_shape == (3, 20, 24)
    assert (data.train.labels.tolist(), data.held_out.labels.tolist()) == (
        [0] * 5 + [1] * 5 + [2] * 5,
        [0, 0, 1, 1, 2, 2],
    )
    expected = np.moveaxis(np.asarray(Image.open(tmp_path / "train" / "green" / "2.png")), 2, 0)
    assert (data.train.images[7].numpy() == expected).all()
    assert loaded(image_folder(tmp_path, size=(9, 7))).input_shape == (3, 9, 7)
    assert loaded(image_folder(tmp_path)).input_shape == (3, 32, 32)
    assert [loaded(image_folder(tmp_path, channels=n)).input_shape[0] for n in (1, 3, 4)] == [1, 3, 4]


def test_a_folder_of_classes_is_split(tmp_path: Path) -> None:
    write_pictures(tmp_path / "colours", 5)
    source = image_folder(tmp_path / "colours")
    data = loaded(source)
    assert (source.name, data.name) == ("colours", "colours")
    assert data.train.labels.bincount().tolist() == [4, 4, 4]
    assert data.held_out.labels.bincount().tolist() == [1, 1, 1]


def test_pictures_keep_what_they_have(tmp_path: Path) -> None:
    """Sixteen bits, transparency, an orientation: none is cut off without a word."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    deep = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    for name in ("a", "b"):
        Image.fromarray(deep).save(tmp_path / name / "0.png")
        Image.fromarray((deep // 256).astype(np.uint8)).save(tmp_path / name / "1.png")
    data = loaded(image_folder(tmp_path, size=None, test_share=0.5))
    assert data.input_shape == (1, 8, 8)
    whole = torch.cat([data.train.images, data.held_out.images]).int()
    assert (whole - torch.from_numpy(deep / 257).int()).abs().max() <= 1

    clear = np.zeros((8, 8, 4), np.uint8)
    clear[2:4, :, 3] = 255
    Image.fromarray(clear).save(tmp_path / "a" / "2.png")
    data = loaded(image_folder(tmp_path, size=None, test_share=0.5))
    assert data.input_shape == (4, 8, 8)
    opaque = torch.cat([data.train.images, data.held_out.images])[:, 3].flatten(1).amin(1)
    assert sorted(opaque.tolist()) == [0, 255, 255, 255, 255]


def test_pictures_are_turned_upright(tmp_path: Path) -> None:
    wide = np.zeros((6, 12, 3), np.uint8)
    wide[:, :6] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(2):
            Image.fromarray(wide).save(tmp_path / name / f"{number}.png", exif=exif)
    data = loaded(image_folder(tmp_path, size=None))
    assert data.input_shape == (3, 12, 6)
    assert data.train.images[0, 0, :6].min() == 255


STUDY = """
from bench.sources.folder import image_folder
DATA = image_folder("pictures", size=8)
"""


def run_file(path: Path) -> dict[str, Any]:
    names: dict[str, Any] = {"__file__": str(path), "__name__": "study"}
    exec(compile(path.read_text(), path, "exec"), names)
    return names


def test_a_path_is_looked_up_beside_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside, here = tmp_path / "beside", tmp_path / "here"
    here.mkdir()
    write_pictures(beside / "pictures", 3)
    (beside / "study.py").write_text(STUDY)
    monkeypatch.chdir(here)
    data = run_file(beside / "study.py")["DATA"]
    assert len(loaded(data).train) == 6
    assert data.name == "pictures"
    (here / "study.py").write_text(STUDY)
    assert not run_file(here / "study.py")["DATA"].present(here)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "study.py").write_text(STUDY)
    write_pictures(here / "pictures", 2)
    assert len(loaded(run_file(tmp_path / "elsewhere" / "study.py")["DATA"]).train) == 3


def test_pictures_train(tmp_path: Path) -> None:
    write_pictures(tmp_path, 30)
    data = loaded(image_folder(tmp_path, size=28))
    [outcome] = fit([Trial(preset_cell("model3"), 0, Protocol("pictures", epochs=1, batch_size=16))], data)
    assert outcome.status == "done"
    assert set(outcome.predicted) <= {0, 1, 2}


# What others publish


def test_torchvision_by_name(tmp_path: Path) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 20), ("t10k", 10)):
        write_idx(raw / f"{part}-images-idx3-ubyte", noise(count, 28, 28))
        write_idx(raw / f"{part}-labels-idx1-ubyte", (np.arange(count) % 10).astype(np.uint8))
    data = loaded(from_torchvision("FashionMNIST"), tmp_path)
    assert (data.name, data.input_shape, len(data.train), len(data.held_out)) == ("fashionmnist", (1, 28, 28), 20, 10)
    assert data.class_names is not None
    assert data.class_names[0] == "T-shirt/top"
    assert loaded(from_torchvision("FashionMNIST", size=14, channels=3), tmp_path).input_shape == (3, 14, 14)


def test_torchvision_without_parts_is_split() -> None:
    data = loaded(from_torchvision("FakeData", image_size=(3, 9, 11), num_classes=4, size=(9, 11)))
    assert data.input_shape == (3, 9, 11)
    assert (len(data.train), len(data.held_out)) == (800, 200)


def test_torchvision_that_is_absent_says_how_to_fetch_it(tmp_path: Path) -> None:
    for name in ("CIFAR10", "KMNIST", "SVHN", "EMNIST", "STL10", "USPS"):
        options = {"split": "letters"} if name == "EMNIST" else {}
        with pytest.raises(
            UsageError, match=rf"fetch it with `python -c .* import {name} as D; D\(.*download=True"
        ) as caught:
            loaded(from_torchvision(name, **options), tmp_path)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="did you mean CIFAR10"):
        loaded(from_torchvision("CIFAR01"))


class Rows(list[dict[str, Any]]):
    """A part of a Hugging Face data set."""

    def __init__(self, rows: Sequence[dict[str, Any]], names: Sequence[str] | None) -> None:
        super().__init__(rows)
        self.column_names = list(rows[0])
        self.features = {"label": SimpleNamespace(names=names)}


def stub_datasets(monkeypatch: pytest.MonkeyPatch, load: Callable[..., object]) -> ModuleType:
    module = ModuleType("datasets")
    module.load_dataset = load  # type: ignore[attr-defined]
    module.config = SimpleNamespace(HF_HUB_OFFLINE=False)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)
    return module


def hub_rows(count: int, **extra: Any) -> list[dict[str, Any]]:
    return [{"image": Image.fromarray(noise(10, 12, 3, seed=i)), "label": i % 3, **extra} for i in range(count)]


def test_hugging_face(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str, **options: object) -> Mapping[str, Rows]:
        assert (name, options) == ("someone/flowers", {"revision": "v1"})
        assert module.config.HF_HUB_OFFLINE  # nothing is downloaded unasked
        return {"train": Rows(hub_rows(12), list("abc")), "test": Rows(hub_rows(6), list("abc"))}

    module = stub_datasets(monkeypatch, load)
    data = loaded(hugging_face("someone/flowers", size=None, revision="v1"))
    assert not module.config.HF_HUB_OFFLINE
    assert (data.name, data.input_shape, data.class_names) == ("flowers", (3, 10, 12), ("a", "b", "c"))
    assert (len(data.train), len(data.held_out)) == (12, 6)
    with pytest.raises(UsageError, match="has no column 'img': did you mean image"):
        loaded(hugging_face("someone/flowers", "img", revision="v1"))


def test_hugging_face_is_split_where_it_has_no_test_part(monkeypatch: pytest.MonkeyPatch) -> None:
    stub_datasets(monkeypatch, lambda _: {"train": Rows(hub_rows(15), None)})
    data = loaded(hugging_face("flowers"))
    assert (len(data.train), len(data.held_out), data.classes) == (12, 3, 3)


def test_hugging_face_that_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UsageError, match=r"pip install 'classifier-bench\[huggingface\]'"):
        loaded(hugging_face("flowers"))

    def unreachable(_name: str) -> None:
        raise ConnectionError("offline\nfor good")

    stub_datasets(monkeypatch, unreachable)
    with pytest.raises(UsageError, match=r"offline for good.*fetch it once with"):
        loaded(hugging_face("flowers"))
