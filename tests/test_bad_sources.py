"""What can't be read as images and labels is answered with one line, and never with a traceback."""

import gzip
import os
import random
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bench.errors import BenchError, UsageError
from bench.sources.arrays import from_arrays, npz
from bench.sources.dataset import Dataset
from bench.sources.folder import image_folder
from bench.sources.idx import from_idx
from tests.test_sources import COLOURS, idx_source, loaded, noise, write_idx, write_pictures

Case = tuple[str, Callable[[], Dataset]]


def case(what: str, which: str = "train", images: Any = None, labels: Any = None, **options: Any) -> Case:
    """Arrays that would be good, with something else in one place."""
    given = {"train": (noise(12, 8, 9), np.arange(12) % 3), "test": (noise(6, 8, 9), np.arange(6) % 3)}
    old = given[which]
    given[which] = (old[0] if images is None else images, old[1] if labels is None else labels)
    merged: dict[str, Any] = {"name": "things", **given, **options}
    return f"{what} in {which}", lambda: from_arrays(**merged)


def bad_images() -> Iterator[Case]:
    for which, count in (("train", 12), ("test", 6)):
        floats = noise(count, 8, 9) / 255
        for bad in (np.nan, np.inf, -np.inf, -0.01, 1.01, 255.0):
            images = floats.copy()
            images[2, 3, 4] = bad
            yield case(f"pixel {bad}", which, images)
            yield case(f"pixel {bad} in float16", which, images.astype(np.float16))
            yield case(f"pixel {bad} in a tensor", which, torch.tensor(images))
        for bad in (-1, 256, 70_000):
            images = noise(count, 8, 9).astype(np.int64)
            images[0, 0, 0] = bad
            yield case(f"pixel {bad}", which, images)
        for shape in ((count,), (count, 72), (count, 8, 9, 5), (count, 5, 8, 9), (count, 3, 8, 3), (count, 1, 2, 2),
                      (count, 1, 8, 9, 1), (0, 8, 9), (count, 0, 9), (count - 1, 8, 9), (count + 1, 8, 9)):  # fmt: skip
            yield case(f"images of {shape}", which, noise(*shape))
        yield case("images of another size", which, noise(count, 8, 10))
        yield case("images of other channels", which, noise(count, 3, 8, 9))
        yield case("images of unequal size", which, [noise(8, 9)] * (count - 1) + [noise(9, 8)])
        yield case("objects", which, np.array([object()] * count, dtype=object))
        yield case("texts", which, np.array(["x"] * count))
        yield case("complex numbers", which, floats * 1j)
        yield case("dates", which, np.zeros((count, 8, 9), dtype="datetime64[s]"))
        yield case("a generator", which, (image for image in floats))
        yield case("nothing", which, {})
        yield case("a sparse tensor", which, torch.tensor(floats).to_sparse())


def bad_labels() -> Iterator[Case]:
    for which, count in (("train", 12), ("test", 6)):
        labels = np.arange(count) % 3
        for bad in (-1, 1001, 2**62):
            wrong = labels.astype(np.int64)
            wrong[1] = bad
            yield case(f"label {bad}", which, labels=wrong)
            yield case(f"label {bad} of 3 classes", which, labels=wrong, classes=3)
            yield case(f"label {bad} of named classes", which, labels=wrong, classes=["a", "b", "c"])
        yield case("a label too many", which, labels=np.arange(count + 1) % 3)
        yield case("no labels", which, labels=[])
        yield case("labels in float", which, labels=labels + 0.5)
        yield case("one-hot labels", which, labels=np.eye(3)[labels])
        yield case("labels of None", which, labels=[None] * count)
        yield case("labels of lists", which, labels=[[1], [1, 2]] * (count // 2))
        yield case("labels that are names in one part only", which, labels=[str(label) for label in labels])
        yield case("bytes that are no text", which, labels=np.array([b"\xff", b"a", b"b"] * (count // 3)))
        yield case("labels of dates", which, labels=np.zeros(count, dtype="datetime64[s]"))
    yield case("a class that is only tested", "test", labels=[0, 1, 2, 3, 1, 2], classes=4)
    yield case("a class that is only tested, unsaid", "test", labels=[0, 1, 2, 3, 1, 2])
    yield case("one class only", labels=[0] * 12)
    yield case("one class of two", labels=[1] * 12, classes=2)
    yield case("a class left out", labels=[0, 1, 3] * 4)
    yield case("labels from 1", labels=[1, 2, 3] * 4)
    yield case("a class with one image", labels=[0] * 11 + [1], test=None)
    names = {"train": (noise(6, 8, 9), list("abcabc")), "test": (noise(3, 8, 9), list("abd"))}
    yield "a name that is only tested", lambda: from_arrays("things", **names)  # type: ignore[arg-type]
    yield "a name that is no class", lambda: from_arrays("things", names["train"], classes=["a", "b"])
    yield "another number of names", lambda: from_arrays("things", names["train"], classes=4)
    empty_name = (noise(6, 8, 9), ["", "a"] * 3)
    yield "an empty name", lambda: from_arrays("things", empty_name)
    many = (noise(2002, 1, 5), np.arange(2002) % 1001)
    yield "1,001 classes", lambda: from_arrays("things", many)
    yield "1,001 names", lambda: from_arrays("things", (many[0], [f"{label:04}" for label in many[1]]))


def bad_options() -> Iterator[Case]:
    for classes in (0, 1, -3, 1001, 10**30, True, 2.5, "abc", b"abc", [], ["a"], ["a", "a"], ["a", ""], ["a", 1],
                    ["a", "b\nc"], ["a", None], {"a": 1, "b": 2}, {"a", "b"}, object()):  # fmt: skip
        yield case(f"classes={classes!r:.20}", classes=classes)
    for share in (0, 1, -0.5, 2, "half", None, True, float("nan")):
        yield case(f"test_share={share!r}", test=None, test_share=share)
    for name in ("", " ", "a b", "a/b", "../x", ".x", "a\n", "x" * 100, 7, None, Path("x")):
        yield case(f"name={name!r}", name=name)
    for train in (None, (), (1,), (1, 2, 3), "ab", noise(2, 8, 9), {"x": 1}):
        yield case(f"train={train!r:.20}", train=train)


def require_one_line(action: Callable[[], object], what: str) -> None:
    with pytest.raises(BenchError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message, what
    assert 10 < len(message) < 600, what


def test_bad_arrays_are_answered_in_one_line() -> None:
    cases = [*bad_images(), *bad_labels(), *bad_options()]
    assert len(cases) >= 150
    for what, make in cases:
        require_one_line(lambda make=make: loaded(make()), what)  # type: ignore[misc]


def broken_folders(top: Path) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    def fresh(name: str, classes: Sequence[str] = tuple(COLOURS)) -> Path:
        write_pictures(top / name, 3, classes)
        return top / name

    yield "an absent folder", top / "absent", {}
    (top / "file").write_text("x")
    yield "a file", top / "file", {}
    (top / "empty").mkdir()
    yield "an empty folder", top / "empty", {}
    yield "one class", fresh("one", ["red"]), {}
    yield "pictures of unequal size", unequal(fresh("unequal")), {"size": None}
    (fresh("with empty") / "zebra").mkdir()
    yield "an empty class", top / "with empty", {}
    (fresh("with others") / "zebra").mkdir()
    (top / "with others" / "zebra" / "picture.heic").write_bytes(b"x")
    yield "a class without a picture that can be read", top / "with others", {}
    for size in (0, -1, "big", (1, 2, 3), (0, 5), 2.5, 10**9, True, ()):
        yield f"size={size!r}", top / "with empty", {"size": size}
    for channels in (0, 2, 5, "3", True, 1.0):
        yield f"channels={channels!r}", top / "with empty", {"channels": channels}
    for number, content in enumerate(
        (b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff\xe0", b"P6 9999999 99999999 255\n", b"text")
    ):
        folder = fresh(f"broken {number}")
        (folder / "red" / "9.png").write_bytes(content)
        yield f"a picture of {content!r}", folder, {}
    os.mkfifo(fresh("pipe") / "red" / "9.png")
    yield "a pipe", top / "pipe", {}
    (fresh("dangling") / "red" / "9.png").symlink_to(top / "nowhere")
    yield "a link to nowhere", top / "dangling", {}
    (fresh("loop") / "red" / "9.png").symlink_to(top / "loop" / "red" / "9.png")
    yield "a link to itself", top / "loop", {}
    (fresh("circle") / "red" / "more").symlink_to(top / "circle")
    yield "a link in a circle", top / "circle", {}
    (top / "self").symlink_to(top / "self")
    yield "a folder that is a link to itself", top / "self", {}
    fresh("half/train")
    yield "training pictures only", top / "half", {}
    fresh("odd/train", ["red", "blue"])
    fresh("odd/test")
    yield "a class that is only tested", top / "odd", {}
    fresh("untested/train")
    (top / "untested" / "test").mkdir()
    yield "no test pictures", top / "untested", {}
    fresh("control")
    (top / "control" / "a\nb").mkdir()
    Image.new("L", (4, 4)).save(top / "control" / "a\nb" / "0.png")
    yield "a class with a line break", top / "control", {}


def unequal(folder: Path) -> Path:
    Image.new("RGB", (5, 5)).save(folder / "red" / "9.png")
    return folder


def test_broken_folders_are_answered_in_one_line(tmp_path: Path) -> None:
    for what, folder, options in broken_folders(tmp_path):
        require_one_line(lambda folder=folder, options=options: loaded(image_folder(folder, **options)), what)  # type: ignore[misc]


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    path = tmp_path / "green" / "2.png"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UsageError, match=rf"^{path} can't be read as a picture: "):
        loaded(image_folder(tmp_path))


@pytest.mark.parametrize("path", ["", None, 7, "a\0b", b"bytes"])
def test_what_is_no_path(path: Any) -> None:
    for source in (image_folder, npz, lambda path: from_idx("x", path, path, path, path)):
        require_one_line(lambda source=source: loaded(source(path)), repr(path))  # type: ignore[misc]


def damaged(content: bytes, draw: random.Random) -> bytes:
    way = draw.randrange(3)
    if way == 0:
        return content[: draw.randrange(len(content))]
    changed = bytearray(content)
    for _ in range(1 if way == 1 else 20):
        changed[draw.randrange(min(len(changed), 400))] = draw.randrange(256)
    return bytes(changed)


def test_damaged_files_are_read_or_answered_in_one_line(tmp_path: Path) -> None:
    """Pictures of six formats, arrays, and MNIST's format, packed and not: 320 of them, most are no longer readable."""
    draw = random.Random(0)
    write_pictures(tmp_path / "pictures", 2)
    picture = Image.open(tmp_path / "pictures" / "red" / "0.png")
    np.savez_compressed(tmp_path / "a.npz", images=noise(12, 5, 5), labels=np.arange(12) % 3)
    np.savez(tmp_path / "b.npz", images=noise(12, 5, 5), labels=np.arange(12) % 3)
    idx = [tmp_path / name for name in ("i", "l", "i.gz", "l.gz")]
    for path in idx:
        write_idx(path, noise(6, 5, 5) if path.stem == "i" else np.array([0, 1, 2] * 2, np.uint8))
    sources: list[tuple[Path, Dataset]] = []
    for suffix in ("png", "jpg", "gif", "bmp", "tiff", "webp"):
        path = tmp_path / "pictures" / "red" / f"9.{suffix}"
        picture.save(path)
        sources.append((path, image_folder(tmp_path / "pictures", size=9)))
    sources += [(path, npz(path)) for path in (tmp_path / "a.npz", tmp_path / "b.npz")]
    sources += [(path, idx_source([*idx[:2], *idx[:2]])) for path in idx[:2]]
    sources += [(path, idx_source([*idx[2:], *idx[2:]])) for path in idx[2:]]
    refused: list[str] = []
    for path, source in sources:
        whole = path.read_bytes()
        for _ in range(27):
            path.write_bytes(damaged(whole, draw))
            try:
                data = loaded(source)
            except BenchError as error:
                refused.append(str(error))
            else:
                assert 2 <= data.classes <= 1000
        path.write_bytes(whole)
        loaded(source)
    assert len(refused) > 100
    assert not [message for message in refused if "\n" in message]


def test_idx_files_that_lie_about_their_size(tmp_path: Path) -> None:
    labels = tmp_path / "l"
    write_idx(labels, np.array([0, 1] * 3, np.uint8))
    for suffix in ("", ".gz"):
        path = tmp_path / f"i{suffix}"
        for shape in ((2**32 - 1,) * 3, (6, 5, 6), (6, 5, 4), (0, 5, 5), (6, 0, 5), (6, 2**16, 2**16)):
            content = struct.pack(">HBB3I", 0, 8, 3, *shape) + bytes(150)
            path.write_bytes(gzip.compress(content) if suffix else content)
            with pytest.raises(UsageError, match="is not as long as its header says"):
                loaded(from_idx("things", path, labels, path, labels))
    for place in (0, 2, 3):
        other = bytearray(struct.pack(">HBB3I", 0, 8, 3, 6, 5, 5) + bytes(150))
        other[place] = 7
        (tmp_path / "i").write_bytes(other)
        with pytest.raises(UsageError, match="is no IDX file of images"):
            loaded(from_idx("things", tmp_path / "i", labels, tmp_path / "i", labels))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=np.array([{"a": 1}] * 4, dtype=object), labels=np.arange(4) % 2)
    with pytest.raises(UsageError, match=r"can't be read as arrays of numpy's: .*allow_pickle=False"):
        loaded(npz(tmp_path / "x.npz"))
    np.savez(tmp_path / "y.npz", pixels=noise(4, 5, 5))
    with pytest.raises(UsageError, match="holds pixels: it should hold x_train"):
        loaded(npz(tmp_path / "y.npz"))
    np.save(tmp_path / "z.npy", noise(4, 5, 5))
    for name in ("z.npy", "absent.npz", "."):
        require_one_line(lambda name=name: loaded(npz(tmp_path / name)), name)  # type: ignore[misc]
