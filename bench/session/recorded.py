"""What a run resolved, beside its rows, so that it can be read and repeated: <results>/<dataset>/runs/<run>.json."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.errors import UsageError, near_matches, one_line
from bench.plan.catalogue import ARCHITECTURE, Rates, catalogue, find_architecture, use
from bench.plan.cells import Cell
from bench.plan.factors import Factor
from bench.plan.levels import Level, Levels
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial, arms
from bench.record.replacing import replace_text
from bench.run.runner import Run

FOLDER = "runs"

# A run of a thousand cells has some hundred kilobytes.
_LARGEST_FILE = 100_000_000

_VERSIONS = ("classifier-bench", "torch", "torchvision", "numpy")


class NoRunError(UsageError):
    """A run can't be repeated."""


@dataclass(frozen=True)
class Recorded:
    """A run as its file has it. `study` is how its command named the study, None the built-in one; `digest` that of the
    study's files, `data` that of the images and labels; `rates` are what the study gave cells then. `given` are the
    options of its command."""

    path: Path
    study: str | None
    digest: str
    design: str
    cells: tuple[Mapping[str, Any], ...]
    seeds: tuple[int, ...]
    protocol: Mapping[str, Any]
    rates: Rates
    data: str
    given: Mapping[str, Any]

    @property
    def root(self) -> Path:
        """Where under --results the run's rows are, with the study's folder."""
        return self.path.absolute().parents[2]

    def found_study(self) -> str | None:
        """How the study is named. Raises NoRunError for one that is gone, or that no command can name."""
        if self.study == "":
            raise NoRunError(f"{self.path} is of a study that was run from Python: run it there again")
        file = (self.study or "").rpartition(":")[0] if ".py:" in (self.study or "") else self.study
        if file is not None and file.endswith(".py") and not Path(file).is_file():
            raise NoRunError(
                f"{self.path} is of the study {file}, which is not there: go where it was run, or restore it"
            )
        return self.study

    def trials(self) -> list[Trial]:
        """The trials, of the study in use and at its rates, each of a cell that had another at that. Raises
        BenchError for what the study no longer has."""
        protocol = self._protocol()
        arms = []
        for said in self.cells:
            cell, rate = _cell(self.path, said), said["lr"]
            own = protocol if said["epochs"] is None else replace(protocol, epochs=said["epochs"])
            arms.append((cell, own if rate is None else own.at(cell, rate), frozenset(said["seeds"])))
        return [Trial(cell, seed, under) for seed in self.seeds for cell, under, seeds in arms if seed in seeds]

    def _protocol(self) -> Protocol:
        known = {field.name for field in fields(Protocol)}
        if strangers := set(self.protocol) - known:
            raise NoRunError(f"{self.path}: its protocol has {min(strangers)}, which this version doesn't know")
        try:
            return Protocol(**self.protocol)
        except TypeError as error:
            raise NoRunError(f"{self.path}: its protocol makes no sense: {error}") from None


def record_run(run: Run, given: Mapping[str, Any]) -> Path:
    """Writes what the run resolved. Raises OSError."""
    known, trials = catalogue(), run.trials
    cells = {cell: None for cell, _ in arms(trials)}
    seeds_of: dict[object, list[int]] = {}
    for trial in trials:
        seeds_of.setdefault(trial.arm, []).append(trial.seed)
    unequal = len({tuple(sorted(seeds)) for seeds in seeds_of.values()}) > 1
    protocol = run.protocol
    rates = known.rates_for(protocol.dataset, protocol.optimizer)
    content = {
        "run": run.provenance.run,
        "study": {"name": known.name, "named": known.named, "digest": known.digest, "title": known.title},
        "design": run.provenance.design,
        "models": list(dict.fromkeys(cell.architecture for cell in cells)),
        "factors": [factor.name for factor in known.factors if _varies(factor, list(cells))],
        "seeds": sorted({trial.seed for trial in trials}),
        "protocol": asdict(protocol),
        "data": {"name": protocol.dataset, "digest": run.provenance.data},
        "cells": [
            {
                "cell": cell.label,
                "lr": under.rate(cell),
                "architecture": cell.architecture,
                "levels": dict(cell.levels),
                **({"epochs": under.epochs} if under.epochs != protocol.epochs else {}),
                **({"seeds": sorted(seeds_of[cell, under])} if unequal else {}),
            }
            for cell, under in arms(trials)
        ],
        "rates": {
            "by": list(rates.by),
            "rate": [[*levels, rate] for levels, rate in rates.rate.items()],
            "selected": rates.selected,
            "source": rates.source,
            "chosen_with": list(rates.chosen_with),
            "optimizer": rates.optimizer,
        },
        "given": {name: _plain(value) for name, value in given.items()},
        "machine": run.provenance.machine,
        "code": run.provenance.code,
        "versions": {"python": sys.version.split()[0], **{name: _version(name) for name in _VERSIONS}},
    }
    path = run.store.folder / FOLDER / f"{run.provenance.run}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path


def find_run(text: str, results: Path) -> Path:
    """The file of the run that `text` names: its path, or the run's name, under `results`. Raises NoRunError."""
    if text.endswith(".json"):
        return Path(text)
    found = sorted(results.glob(f"**/{FOLDER}/*.json"))
    fitting = [path for path in found if path.stem == text]
    if not fitting:
        names = [path.stem for path in found[-20:]]
        hint = near_matches(text, names) if names else "no run is recorded there"
        raise NoRunError(f"no run under {results} is called {text!r}: {hint}")
    return fitting[0]


def read_run(path: Path) -> Recorded:
    """What the file of a run says. Raises NoRunError."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise NoRunError(f"{path} is no run: `bench run` writes smaller files")
        said = json.loads(path.read_text(encoding="utf-8"))
        rates = said["rates"]
        return Recorded(
            path=path,
            study=_text(said["study"]["named"]) or (None if not said["study"]["name"] else ""),
            digest=_text(said["study"]["digest"]),
            design=_text(said["design"]),
            cells=tuple(
                {
                    "architecture": _text(one["architecture"]),
                    "levels": {**one["levels"]},
                    "lr": float(one["lr"]) if "lr" in one else None,
                    "epochs": int(one["epochs"]) if "epochs" in one else None,
                    "seeds": tuple(map(int, one.get("seeds", said["seeds"]))),
                }
                for one in said["cells"]
            ),
            seeds=tuple(map(int, said["seeds"])),
            protocol={**said["protocol"]},
            rates=Rates(
                tuple(map(_text, rates["by"])),
                {tuple(levels): float(rate) for *levels, rate in rates["rate"]},
                selected=bool(rates["selected"]),
                source=_text(rates["source"]),
                chosen_with=tuple(map(_text, rates.get("chosen_with", []))),
                optimizer=_text(rates.get("optimizer", "sgd")),
            ),
            data=_text(said["data"]["digest"]),
            given={**said["given"]},
        )
    except OSError as error:
        raise NoRunError(f"{path} can't be read: {error.strerror or error}") from None
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else one_line(error)
        raise NoRunError(f"{path} is no run as `bench run` writes it: {reason}") from None


def use_rates(recorded: Recorded) -> None:
    """Makes the rates of the run those of the study in use. Raises NoRunError."""
    for name in recorded.rates.by:
        if name != ARCHITECTURE:
            _factor(recorded.path, name)
    use(replace(catalogue(), rates=replace(recorded.rates, tried=catalogue().rates.tried), rates_on={}))


def _cell(path: Path, said: Mapping[str, Any]) -> Cell:
    try:
        architecture = find_architecture(said["architecture"]).name
    except UsageError as error:
        raise NoRunError(f"{path}: {error}") from None
    levels: dict[str, Level] = {factor.name: factor.off for factor in catalogue().factors}
    for name, level in said["levels"].items():
        factor = _factor(path, name)
        try:
            levels[name] = factor.read(level if isinstance(level, str) else factor.written(level))
        except ValueError as error:
            raise NoRunError(f"{path}: {error}: it was one when the run was made") from None
    return Cell(architecture, Levels(levels))


def _factor(path: Path, name: str) -> Factor:
    known = catalogue().by_name
    if name not in known:
        raise NoRunError(f"{path}: the study no longer has a factor {name!r}: {near_matches(name, known)}")
    return known[name]


def _varies(factor: Factor, cells: Sequence[Cell]) -> bool:
    return len({cell.levels.get(factor.name) for cell in cells}) > 1


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _plain(value: object) -> object:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
