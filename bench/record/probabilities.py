"""What networks give each class of each test image, in a compact file a trial, and how good that is."""

import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.record.reading import StoreError
from bench.record.replacing import replacing

# Logarithms of probabilities, (images, classes).
LogProbabilities = NDArray[np.floating]

# Confidences are sorted into so many bins of equal width, as in Guo et al. 2017 (arXiv:1706.04599).
BINS = 15

_LARGEST_FILE = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Quality:
    """How good predictions are. `accuracy` is a fraction; `loss` the mean negative logarithm of the right class's
    probability, in nats; `brier` the mean square distance of the probabilities from the right answer, summed over
    classes (Brier 1950), 0 to 2; `calibration_error` how far accuracy and confidence are apart, a fraction."""

    accuracy: float
    loss: float
    brier: float
    calibration_error: float


def quality(predicted: LogProbabilities, labels: NDArray[np.int64]) -> Quality:
    """Of the predictions for images with these labels."""
    logs = predicted.astype(np.float64)
    logs -= np.log(np.exp(logs).sum(1, keepdims=True))  # what was rounded adds up to 1 again
    chances, places = np.exp(logs), np.arange(len(labels))
    answers = np.zeros_like(chances)
    answers[places, labels] = 1
    right = predicted.argmax(1) == labels
    return Quality(
        accuracy=float(right.mean()),
        loss=float(-logs[places, labels].mean()),
        brier=float(((chances - answers) ** 2).sum(1).mean()),
        calibration_error=_calibration_error(chances.max(1), right),
    )


def _calibration_error(confidences: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """The mean over images of how far the accuracy of their bin is from its mean confidence."""
    bins = np.minimum((confidences * BINS).astype(int), BINS - 1)
    surplus = np.bincount(bins, weights=confidences - right, minlength=BINS)
    return float(np.abs(surplus).sum() / len(right))


def rounded(predicted: LogProbabilities) -> NDArray[np.float16]:
    """In half the room, to a thousandth of a logarithm; the most probable class, the first of equals, stays so."""
    found = np.clip(predicted, -60_000, 0).astype(np.float16)
    places, best = np.arange(len(found)), predicted.argmax(1)
    top = found[places, best]
    found = np.where(found >= top[:, None], np.nextafter(top, np.float16(-np.inf))[:, None], found)
    found[places, best] = top
    return found


def write_probabilities(path: Path, predicted: Mapping[str, LogProbabilities]) -> None:
    """Writes the predictions of a trial, by readout, in place of what is there. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: rounded(values) for name, values in predicted.items()}
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **arrays)
    with replacing(path) as file:
        file.write(packed.getvalue())


def read_probabilities(path: Path, readout: str) -> NDArray[np.float16] | None:
    """The predictions by a readout; None where there are none. Raises StoreError for a file that isn't one of these."""
    try:
        if not path.is_file():
            return None
        if path.stat().st_size > _LARGEST_FILE:
            raise StoreError(f"{path} is larger than any file of probabilities: delete it")
        # Of a broken file numpy would leave one that it opened itself open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = arrays[readout] if readout in arrays.files else None
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror or error}") from error
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise StoreError(f"{path} holds no probabilities: delete it, and the trial is read out again") from error
    if found is not None and (found.ndim != 2 or found.dtype != np.float16 or not (found <= 0).all()):
        raise StoreError(f"{path} holds no probabilities: delete it, and the trial is read out again")
    return found
