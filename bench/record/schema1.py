"""Rows of schema 1, read as today's.

A trial of schema 1 is named by a digest of its layers, levels, protocol and seed and of the data and all training code.
It is known here which networks its three architectures had, and what became since of the last code that wrote such
rows: training has stayed the same but for rounding, and so has its evaluation in float32. So its float32 rows are named
as today's trials are, and are used again as long as those digests are today's. Trained in bfloat16, networks were
evaluated in bfloat16 too, where logits tie and the lower class wins; those rows have an evaluation of their own, which
is no trial's today. What another code or other layers wrote keeps its name and matches no trial of today.
"""

import hashlib
import json
from dataclasses import asdict
from typing import Any

import pandas as pd

from bench.plan.augmentation import Augmentation
from bench.plan.keys import Parts, keys_by_seed, training_digest
from bench.plan.protocol import Protocol

# In the attributes of a frame of trials: from the names that its rows were written with to those that they have now.
RENAMED = "renamed"

_LAST_CODE = "1905bfeb03dccb16"


def _conv(channels: int, padding: int = 0, pool: int = 1) -> dict[str, int]:
    return {"channels": channels, "padding": padding, "pool": pool, "kernel": 3}


_LAYERS: dict[str, dict[str, object]] = {
    "model1": {
        "blocks": [_conv(16), _conv(8), _conv(16, pool=2), _conv(8), _conv(16, pool=2), _conv(8, padding=1)],
        "classifier": {"padding": 1, "kernel": 3},
    },
    "model2": {
        "blocks": [_conv(16), _conv(8), _conv(16, pool=2), _conv(8), _conv(16, pool=2), _conv(12, padding=1)],
        "classifier": {"padding": 1, "kernel": 3},
    },
    "model3": {
        "blocks": [_conv(8, 1), _conv(8, 1, 2), _conv(12, 1), _conv(12, 1, 2), _conv(24, 1, 2)],
        "classifier": {"padding": 1, "kernel": 3},
    },
}

_AUGMENTATIONS = {
    "none": Augmentation(),
    "basic": Augmentation(rotation=7.0, shift=1.0),
    "advanced": Augmentation(rotation=7.0, shift=2.0, scale=0.1),
    "shift": Augmentation(shift=1.5),
    "rotation": Augmentation(rotation=7.0),
    "rotation_shift": Augmentation(rotation=7.0, shift=1.0),
}

# Today's digests of what the rows were made of, on the day on which schema 2 came. By architecture, batch norm, global
# average pooling and dropout:
_NETWORKS: dict[tuple[str, bool, bool, float], str] = {
    ("model1", False, False, 0.0): "983ea0bb633e4529",
    ("model1", False, False, 0.1): "4dc84d69acf9afd5",
    ("model1", False, True, 0.0): "cd22ca176a4d8ef1",
    ("model1", False, True, 0.1): "8ed4c23ac2da4940",
    ("model1", True, False, 0.0): "c5acae835a97d3f4",
    ("model1", True, False, 0.1): "321c804b87f5f572",
    ("model1", True, True, 0.0): "c3586d0e8e6da2c5",
    ("model1", True, True, 0.1): "cad4479b490009da",
    ("model2", False, False, 0.0): "72c37fb4098c69ed",
    ("model2", False, False, 0.1): "b15ef63889b3cd6a",
    ("model2", False, True, 0.0): "0635c95e26de276f",
    ("model2", False, True, 0.1): "dbca957fd81bb6f4",
    ("model2", True, False, 0.0): "1f0cbfbd94f2a7a5",
    ("model2", True, False, 0.1): "37783b8508bf9c46",
    ("model2", True, True, 0.0): "a95e0429c9b21d5a",
    ("model2", True, True, 0.1): "288cbb4ddced57a1",
    ("model3", False, False, 0.0): "fdbf7d2b87ca99d1",
    ("model3", False, False, 0.1): "80efe8933ac233a6",
    ("model3", False, True, 0.0): "0a582c891f56330e",
    ("model3", False, True, 0.1): "58eb8653b6e1a49d",
    ("model3", True, False, 0.0): "18c3268e755c982a",
    ("model3", True, False, 0.1): "96204998bb531cd7",
    ("model3", True, True, 0.0): "63e21fe25140debe",
    ("model3", True, True, 0.1): "6eb3d92c7cc4a551",
}

_PARTS = {
    "loop": "5523f7a0e1426ec7",
    "evaluation": "bd1031f71d3aa89d",
    "optimizer": "85f1f3d87c904205",
}
_SCHEDULES = {"step": "9e171c9caa18fe10", "onecycle": "9e87dccd230ea30a"}
_UNDISTORTED, _DISTORTED = "d61e8e09e55924aa", "deb6758633accf24"
_EVALUATED_IN_BF16 = "schema1-in-bf16"

# The data sets' digests in schema 1, which left out shapes and classes, and now.
_DATA = {"1e35582d42a90940": "20da533bb202f6ed", "474668ade124f7b9": "f3f70b7e120d67c9"}


def from_schema_1(frame: pd.DataFrame) -> pd.DataFrame:
    """Trials with those of schema 1 in today's columns."""
    old = frame["schema"] == 1
    if not old.any():
        return frame
    read = [_read(record) for record in frame[old].to_dict("records")]
    renamed = dict(zip(frame.loc[old, "trial"], (values["trial"] for values in read), strict=True))
    frame = frame.copy()
    for name in ("trial", "selected_lr", "input", "classes", "network", "training", "data"):
        frame[name] = frame[name].astype(object)
        frame.loc[old, name] = pd.Series([values[name] for values in read], index=frame.index[old], dtype=object)
    frame = frame.astype({"selected_lr": "float64", "classes": "int64"})
    frame.attrs[RENAMED] = {before: now for before, now in renamed.items() if before != now}
    return frame


def data_of_today(digests: "pd.Series[str]") -> "pd.Series[str]":
    """Digests of data as schema 1 had them, as today's where they are known."""
    return digests.map(_DATA).fillna(digests)


def schema_1_parts() -> pd.DataFrame:
    """What the training digests are made of that `from_schema_1` gives, columns as in PartRow."""
    known = [
        _parts(schedule, augmentation, evaluation)
        for schedule in _SCHEDULES
        for augmentation in ("none", "basic")
        for evaluation in (_PARTS["evaluation"], _EVALUATED_IN_BF16)
    ]
    rows = [(training_digest(parts), *part) for parts in known for part in parts.items()]
    return pd.DataFrame(rows, columns=["training", "part", "digest"])


def _read(record: dict[Any, Any]) -> dict[str, object]:
    """What today's columns hold of a row of schema 1."""
    batch_norm, gap = record["batch_norm"] == "on", record["gap"] == "on"
    network = _NETWORKS.get((record["architecture"], batch_norm, gap, record["dropout"]))
    levels = (batch_norm, gap, record["dropout"], record["augmentation"], record["scheduler"])
    if network is None or record["trial"] != _old_key(record, *levels):
        network = _digest("another network", record["architecture"], *levels[:3])
    rate = _RATES.get((record["scheduler"], batch_norm)) if record["optimizer"] == "sgd" else None
    values = {
        "trial": record["trial"],
        "selected_lr": rate,
        "input": "1x28x28",
        "classes": 10,
        "network": network,
        "training": record["code"],
        "data": _DATA.get(record["data"], record["data"]),
    }
    is_last = (record["code"], record["optimizer"], record["device"]) == (_LAST_CODE, "sgd", "cpu")
    if is_last and record["scheduler"] in _SCHEDULES and record["augmentation"] in _AUGMENTATIONS:
        evaluation = _PARTS["evaluation"] if record["precision"] == "fp32" else _EVALUATED_IN_BF16
        values["training"] = training_digest(_parts(record["scheduler"], record["augmentation"], evaluation))
        values["trial"] = _today(record, values)
    return values


# The rates that were selected then, by schedule and batch norm.
_RATES = {("step", False): 0.01, ("step", True): 0.03, ("onecycle", False): 0.03, ("onecycle", True): 0.1}


def _parts(schedule: str, augmentation: str, evaluation: str) -> dict[str, str]:
    distorts = _AUGMENTATIONS[augmentation] != Augmentation()
    return {
        **_PARTS,
        "evaluation": evaluation,
        "schedule": _SCHEDULES[schedule],
        "augmentation": _DISTORTED if distorts else _UNDISTORTED,
    }


def _today(record: dict[Any, Any], values: dict[str, Any]) -> str:
    parts = Parts(values["network"], values["training"], values["data"])
    keys = keys_by_seed(parts, record["lr"], _protocol(record), _AUGMENTATIONS[record["augmentation"]])
    return keys(record["seed"])


def _protocol(record: dict[Any, Any]) -> Protocol:
    names = ("dataset", "epochs", "batch_size", "optimizer", "lr", "precision", "device", "val")
    return Protocol(**{name: record[name] for name in names})


def _old_key(
    record: dict[Any, Any], batch_norm: bool, gap: bool, dropout: float, augmentation: str, scheduler: str
) -> str:
    """The name that schema 1 gave a trial of one of its own networks."""
    levels = {"batch_norm": batch_norm, "gap": gap, "dropout": dropout, "scheduler": scheduler}
    names = ("dataset", "epochs", "batch_size", "optimizer", "lr", "precision", "device", "val")
    inputs = {
        **_LAYERS[record["architecture"]],
        "architecture": record["architecture"],
        "levels": levels | {"augmentation": asdict(_AUGMENTATIONS.get(augmentation, Augmentation()))},
        "protocol": {name: record[name] for name in names},
        "seed": record["seed"],
        "data": record["data"],
        "code": record["code"],
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
