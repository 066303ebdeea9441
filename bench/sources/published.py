"""Data sets that others publish: torchvision's by the name of their class, and those of the Hugging Face Hub.

Nothing is downloaded: what isn't there is answered with the line that fetches it.
"""

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UsageError, near_matches
from bench.sources.dataset import (
    Dataset,
    checked_channels,
    checked_class_names,
    checked_name,
    checked_share,
    checked_size,
    name_of,
)

if TYPE_CHECKING:
    from bench.sources.making import Labelled
    from bench.train.data import Data

_EXTRA = "pip install 'classifier-bench[huggingface]'"


def from_torchvision(
    name: str,
    *,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    test_share: float = 0.2,
    train_split: str = "train",
    test_split: str = "test",
    **options: object,
) -> Dataset:
    """A data set of torchvision's by the name of its class, such as "CIFAR10", whose files are in the folder of
    --data-dir. `options` are the class's own (EMNIST needs split="letters"). `size` and `channels` are as for
    `image_folder`. `train_split` and `test_split` are the names of the parts where the class calls them `split`; a
    class that knows no parts is split by `test_share`. Raises UsageError.
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise UsageError(f"a data set of torchvision's is the name of a class like 'CIFAR10', not {name!r}")
    sides, wanted, share = checked_size(size), checked_channels(channels), checked_share(test_share)

    def load(data_dir: Path) -> "Data":
        from bench.sources.making import make_data

        kind = _torchvision_class(name)
        parameters = _parameters(kind)
        given = {**options}
        if "root" in parameters:
            given.setdefault("root", str(data_dir))
        if "download" in parameters:
            given["download"] = False
        parts: list[dict[str, object]] = [{}]
        if "train" in parameters:
            parts = [{"train": True}, {"train": False}]
        elif "split" in parameters:
            parts = [{"split": train_split}, {"split": test_split}]
        opened = [_opened(kind, {**given, **part}, data_dir) for part in parts]
        where = [f"the {title} set of {name}" for title in ("training", "test")]
        labelled = [_of_torchvision(found, at, sides, wanted) for found, at in zip(opened, where, strict=False)]
        return make_data(name.lower(), *labelled, classes=_class_names(opened[0]), test_share=share)

    return Dataset(checked_name(name.lower()), f"torchvision's {name}", load)


def hugging_face(
    name: str,
    image: str = "image",
    label: str = "label",
    *,
    size: int | tuple[int, int] | None = 32,
    channels: int | None = None,
    test_share: float = 0.2,
    train_split: str = "train",
    test_split: str = "test",
    **options: object,
) -> Dataset:
    """A data set of the Hugging Face Hub that has been fetched before, by its name there; `image` and `label` are its
    columns, `options` go to `datasets.load_dataset`. `size` and `channels` are as for `image_folder`. A data set
    without a part called `test_split` is split by `test_share`. Needs `pip install 'classifier-bench[huggingface]'`.
    Raises UsageError.
    """
    if not isinstance(name, str) or not name.strip():
        raise UsageError(f"a data set of the Hugging Face Hub is a name like 'owner/flowers', not {name!r}")
    called = name_of(Path(name))
    sides, wanted, share = checked_size(size), checked_channels(channels), checked_share(test_share)

    def load(_data_dir: Path) -> "Data":
        from bench.sources.making import make_data

        splits = _hub_splits(name, options)
        if train_split not in splits:
            raise UsageError(f"{name} has no part {train_split!r}: {near_matches(train_split, map(str, splits))}")
        parts = [part for part in (train_split, test_split) if part in splits]
        labelled = [
            _of_hub(splits[part], f"the part {part} of {name}", (image, label), sides, wanted) for part in parts
        ]
        feature = (getattr(splits[train_split], "features", None) or {}).get(label)
        return make_data(called, *labelled, classes=_known(getattr(feature, "names", None)), test_share=share)

    return Dataset(called, f"{name} of the Hugging Face Hub", load)


def _torchvision_class(name: str) -> type[Any]:
    import torchvision.datasets

    known = torchvision.datasets.__all__
    if name not in known:
        raise UsageError(f"torchvision has no data set {name!r}: {near_matches(name, known)}")
    found: type[Any] = getattr(torchvision.datasets, name)
    return found


def _parameters(kind: type[Any]) -> set[str]:
    """What the class is told when it is opened. One that takes any keyword hands it on to what it is derived from."""
    found: set[str] = set()
    for base in kind.__mro__:
        if "__init__" in vars(base):
            parameters = inspect.signature(vars(base)["__init__"]).parameters
            found |= set(parameters)
            if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters.values()):
                break
    return found


def _opened(kind: type[Any], options: Mapping[str, object], data_dir: Path) -> Any:
    from bench.sources.reading import one_line

    try:
        return kind(**options)
    except (RuntimeError, OSError) as error:
        given = ", ".join(f"{key}={value!r}" for key, value in {**options, "download": True}.items() if key != "train")
        raise UsageError(
            f"{kind.__name__} is not whole in {data_dir} ({one_line(error)}): fetch it with "
            f'`python -c "from torchvision.datasets import {kind.__name__} as D; D({given})"`'
        ) from None
    except Exception as error:
        raise UsageError(f"torchvision's {kind.__name__} can't be opened: {one_line(error)}") from None


def _of_torchvision(found: Any, where: str, size: tuple[int, int] | None, channels: int | None) -> "Labelled":
    from bench.sources.making import Labelled

    images, labels = getattr(found, "data", None), getattr(found, "targets", getattr(found, "labels", None))
    if images is None or labels is None or size is not None or channels is not None:
        return _pictured(((i, *_item(found, i, where)) for i in range(len(found))), where, size, channels)
    return Labelled(images, labels, where, where)


def _item(found: Any, index: int, where: str) -> tuple[object, object]:
    from bench.sources.reading import unreadable

    try:
        picture, label = found[index]
    except Exception as error:
        raise unreadable(f"image {index} of {where}", "as a picture and its label", error) from None
    return picture, label


def _hub_splits(name: str, options: Mapping[str, object]) -> Mapping[str, Any]:
    from bench.sources.reading import one_line

    try:
        import datasets
    except ImportError:
        raise UsageError(f"{name} needs the package datasets: {_EXTRA}") from None
    fetch = f'`python -c "import datasets; datasets.load_dataset({name!r})"`'
    asks_the_hub = datasets.config.HF_HUB_OFFLINE
    try:
        datasets.config.HF_HUB_OFFLINE = True
        found = datasets.load_dataset(name, **options)
    except Exception as error:
        raise UsageError(f"{name} can't be loaded ({one_line(error)}): fetch it once with {fetch}") from None
    finally:
        datasets.config.HF_HUB_OFFLINE = asks_the_hub
    if not isinstance(found, Mapping):
        raise UsageError(f"{name} was loaded as one part: leave split= out, and say train_split and test_split")
    return found


def _of_hub(
    rows: Any, where: str, columns: tuple[str, str], size: tuple[int, int] | None, channels: int | None
) -> "Labelled":
    for column in columns:
        if column not in rows.column_names:
            raise UsageError(f"{where} has no column {column!r}: {near_matches(column, rows.column_names)}")
    image, label = columns
    read = ((index, row[image], row[label]) for index, row in _rows(rows, where))
    return _pictured(read, where, size, channels)


def _rows(rows: Any, where: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    from bench.sources.reading import unreadable

    for index in range(len(rows)):
        try:
            row = rows[index]
        except Exception as error:
            raise unreadable(f"row {index} of {where}", "as a picture and its label", error) from None
        yield index, row


def _pictured(
    read: Iterator[tuple[int, object, object]], where: str, size: tuple[int, int] | None, channels: int | None
) -> "Labelled":
    """Pictures of PIL's, with a number and a label each."""
    from PIL import Image

    from bench.sources.making import Labelled
    from bench.sources.pictures import picture_pixels, stacked
    from bench.sources.reading import unreadable

    pictures, labels = [], []
    for index, picture, label in read:
        at = f"image {index} of {where}"
        if not isinstance(picture, Image.Image):
            raise UsageError(f"{at} is {type(picture).__name__}, not a picture as PIL has it")
        try:
            pictures.append((at, picture_pixels(picture, size, channels)))
        except Exception as error:
            raise unreadable(at, "as a picture", error) from None
        labels.append(label)
    if not pictures:
        raise UsageError(f"{where} has no images")
    return Labelled(stacked(pictures), labels, where, where)


def _class_names(found: Any) -> tuple[str, ...] | None:
    return _known(getattr(found, "classes", None))


def _known(names: object) -> tuple[str, ...] | None:
    """The names of classes where they are such; some data sets have synonyms, or other things, in their place."""
    try:
        return checked_class_names(names) if isinstance(names, tuple | list) else None
    except UsageError:
        return None
