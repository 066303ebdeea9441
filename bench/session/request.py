"""What the options of a run mean together: which cells, seeds, protocol, and where to train. Needs no torch."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from bench.errors import UsageError, near_matches
from bench.plan.budget import Budget, read_budget
from bench.plan.catalogue import catalogue, find_architecture, find_factors
from bench.plan.cells import Cell
from bench.plan.designs import DESIGNS, ONE_CHANGE, varied
from bench.plan.proposing import LEAST_SEEDS
from bench.plan.protocol import Device, Optimizer, Precision, Protocol
from bench.plan.search import Search
from bench.sources.dataset import choose_dataset

MOST_SEEDS = 10_000

# With --until settled and without --seeds.
_MOST_UNTIL_SETTLED = 1_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where trials are trained: in so many processes here (0: in this one), or on a cluster."""

    workers: int = 0
    cluster: str | None = None
    gpus_per_stack: float = 1.0

    def begin(self) -> None:
        """Lets the workers' imports begin, which take as long as this process's own, beside them."""
        if self.workers:
            from bench.run.spawning import import_ahead

            import_ahead()


def root_of(folder: Path) -> Path:
    """Where the study's rows or reports lie: a user's study has a folder of its own."""
    return folder / catalogue().name if catalogue().name else folder


def protocol_of(
    dataset: str | None,
    data_dir: Path,
    epochs: int | None,
    precision: str | None,
    device: str,
    *,
    batch_size: int | None = None,
    lr: float | None = None,
    optimizer: str | None = None,
    val: int = 0,
    readouts: str | None = None,
    read_out: bool = False,
) -> Protocol:
    """The options as a protocol, checked before the data are loaded; what isn't given is the study's, or where that
    says nothing of it the data set's; its readouts for who trains its design only, as `read_out` says. Raises
    UsageError.

    The data set, and precision and device where they are auto, are filled in by `bench.session.training.settle`.
    """
    study = catalogue().defaults
    precision = precision or study.precision
    chosen, _ = choose_dataset(dataset, data_dir)
    usual = catalogue().usual_on(chosen.name, optimizer)
    return Protocol(
        dataset="",
        epochs=usual.epochs if epochs is None else epochs,
        batch_size=usual.batch_size if batch_size is None else batch_size,
        optimizer=cast(Optimizer, usual.optimizer),
        lr=study.lr if lr is None else lr,
        precision=cast(Precision, "fp32" if precision == "auto" else precision),
        device=cast(Device, "cpu" if device == "auto" else device),
        val=val,
        readouts=tuple(_split(readouts, "--readouts")) if readouts is not None else study.readouts if read_out else (),
    )


def chosen_design(design: str | None) -> str:
    """The design's name. Raises UsageError."""
    design = design or catalogue().defaults.design
    if design not in DESIGNS:
        raise UsageError(f"no design is called {design!r}: {near_matches(design, DESIGNS)}")
    return design


def chosen_cells(all_models: bool, models: str | None, design: str | None, factors: str | None) -> list[Cell]:
    """The distinct cells that the options ask for. Raises UsageError."""
    design = chosen_design(design)
    names = chosen_models(all_models, models)
    asked = varied(design) if factors is None else find_factors(_split(factors, "--factors"))
    return list(dict.fromkeys(DESIGNS[design](names, asked)))


def chosen_models(all_models: bool, models: str | None) -> list[str]:
    """The architectures that --all and --models ask for. Raises UsageError."""
    if all_models and models is not None:
        raise UsageError("--all and --models exclude each other: give one of them")
    if all_models or (models is None and catalogue().name):
        return catalogue().models
    if models is None:
        raise UsageError(f"say what to run: --all, or --models with some of {', '.join(catalogue().models)}")
    return [find_architecture(name).name for name in _split(models, "--models")]


def plain_name(dataset: str) -> str:
    """The name of a data set's folder, which lies in --results and in --reports and nowhere else. Raises UsageError."""
    if not dataset or dataset != Path(dataset).name or "\\" in dataset or dataset.startswith("."):
        raise UsageError(f"a data set's name is a plain word like pebbles, not {dataset!r}")
    return dataset


def chosen_seeds(seeds: str | None) -> tuple[int, ...]:
    """The seeds, in ascending order. Raises UsageError."""
    text = str(catalogue().defaults.seeds) if seeds is None else seeds.strip()
    if re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII):
        if not 1 <= int(text) <= MOST_SEEDS:
            raise UsageError(f"--seeds is 1 to {MOST_SEEDS:,}, not {int(text):,}")
        return tuple(range(int(text)))
    found: set[int] = set()
    for part in text.split(","):
        span = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", part.strip(), re.ASCII)
        if span is None:
            raise UsageError(f"--seeds is a number of seeds, or seeds like 0-9,20, not {text!r}")
        first, last = int(span[1]), int(span[2] or span[1])
        if not first <= last < MOST_SEEDS:
            raise UsageError(f"--seeds: {part.strip()} is no range of seeds between 0 and {MOST_SEEDS - 1:,}")
        found.update(range(first, last + 1))
    return tuple(sorted(found))


def chosen_until(
    until: str | None, budget: str | None, seeds: str | None, design: str | None, val: int
) -> tuple[int, Budget]:
    """The most seeds that a cell may get until everything is settled, and what may be spent on it. Raises
    UsageError."""
    if until is None:
        if budget is not None:
            raise UsageError("--budget goes with --until settled: a design without it has a number of trials")
        return 0, Budget()
    if until != "settled":
        raise UsageError(f"--until takes settled, not {until!r}")
    if chosen_design(design) not in ONE_CHANGE:
        raise UsageError("--until settled asks what each technique does: it goes with --design toggles")
    if val:
        raise UsageError("--until settled looks at differences on the test set, as a report does: leave --val out")
    if seeds is None:
        return _MOST_UNTIL_SETTLED, read_budget(budget) if budget is not None else Budget()
    if not re.fullmatch(r"[0-9]{1,9}", seeds.strip(), re.ASCII) or not LEAST_SEEDS <= int(seeds) <= MOST_SEEDS:
        raise UsageError(
            f"--seeds with --until settled is the most that a cell gets, {LEAST_SEEDS} to {MOST_SEEDS:,}, not {seeds!r}"
        )
    return int(seeds), read_budget(budget) if budget is not None else Budget()


def chosen_search(parameters: int | None) -> tuple[Search, int | None]:
    """What the study says that a search looks through, and the most parameters that a network may have. Raises
    UsageError."""
    found = catalogue().search
    if found is None:
        raise UsageError(
            "the study has nothing to search: give it search=Search(build, suggest), where suggest(trial, limit) asks "
            "an Optuna trial and returns the builder's levels"
        )
    if parameters is not None and parameters < 1:
        raise UsageError(f"--parameters is 1 or more, not {parameters:,}")
    if find_spec("optuna") is None:
        raise UsageError(
            "bench search needs Optuna, which is not installed: `pip install 'classifier-bench[search]'` gets it"
        )
    return found, found.parameters if parameters is None else parameters


def chosen_spending(budget: str | None, confirm: int | None, plan: bool) -> Budget:
    """What a search may spend. Raises UsageError."""
    if confirm is not None:
        if budget is not None:
            raise UsageError("--confirm ends a search, and --budget lets it go on: give one of them")
        if not 2 <= confirm < MOST_SEEDS:
            raise UsageError(f"--confirm is 2 to {MOST_SEEDS - 1:,} fresh seeds, not {confirm:,}")
    elif budget is None and not plan:
        raise UsageError(
            "a search never ends by itself: say what it may spend, as with --budget 2h or --budget 40trials"
        )
    return Budget() if budget is None else read_budget(budget)


def held_out_protocol(
    dataset: str | None,
    data_dir: Path,
    epochs: int | None,
    precision: str | None,
    device: str,
    val: int | None,
    **said: Any,
) -> Protocol:
    """As `protocol_of`, of trials that choose something, and so are measured on held-out training images; `val` None is
    filled in when the data are there. Raises UsageError."""
    if val == 0:
        raise UsageError("--val 0 would choose on test images: hold training images out")
    return protocol_of(dataset, data_dir, epochs, precision, device, val=val or 0, **said)


def chosen_place(workers: int | None, cluster: str | None, gpus_per_stack: float) -> Place:
    """Where to train. Raises UsageError."""
    if cluster is None:
        return Place(chosen_workers(workers, least=0))
    if workers is not None:
        raise UsageError("--workers and --cluster exclude each other: a cluster trains on all of its CPUs")
    if cluster != "auto" and not re.fullmatch(r"ray://[^/\s]+:\d+", cluster):
        raise UsageError(f"--cluster is auto or an address like ray://host:10001, not {cluster!r}")
    if not (0 < gpus_per_stack <= 1 or (gpus_per_stack > 1 and gpus_per_stack.is_integer())):
        raise UsageError(f"--gpus-per-stack is a share up to 1 or a whole number of GPUs, not {gpus_per_stack:g}")
    if find_spec("ray") is None:
        raise UsageError("--cluster needs Ray, which is not installed: `pip install .[ray]` gets it")
    return Place(cluster=cluster, gpus_per_stack=gpus_per_stack)


def chosen_workers(workers: int | None, least: int = 1) -> int:
    """A number of worker processes. Raises UsageError."""
    from bench.record.machine import usable_cores

    cores = usable_cores()
    if workers is None:
        return cores
    if not least <= workers <= 4 * cores:
        raise UsageError(f"--workers is {least} to {4 * cores} on this machine's {cores} cores, not {workers}")
    return workers


def _split(names: str, option: str) -> Sequence[str]:
    parts = [part.strip() for part in names.split(",")]
    if not all(parts):
        raise UsageError(f"{option} takes names with commas between, not {names!r}")
    return list(dict.fromkeys(parts))
