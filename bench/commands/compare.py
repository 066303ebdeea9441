"""`bench compare`: two cells, or two runs, side by side."""

import glob
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands import options as opt
from bench.errors import UsageError, near_matches

if TYPE_CHECKING:
    from bench.record.store import Store
    from bench.report.evidence import Evidence


def compare(
    words: Annotated[
        list[str],
        typer.Argument(
            help="The study, where it is one of yours, and what to compare: two cells as tables call them, in quotes, "
            "such as tiny 'tiny width=16'; or two runs, each its name or a folder of rows.",
            metavar="[STUDY] A B",
            show_default=False,
        ),
    ],
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="The rows on this data set. Default: on every one.", show_default=False),
    ] = None,
    results: opt.SeveralResults = None,
) -> None:
    """Print two cells or two runs side by side, with the difference of their accuracies and its interval, over all
    seeds of both.

    Which rows count is what `bench report` says: those of the protocol with most finished trials.
    """
    if len(words) not in (2, 3):
        raise UsageError(
            f"compare takes two cells or two runs, and before them a study of yours: not {len(words)} names"
        )
    opt.use_study(words[0] if len(words) == 3 else None)
    first, second = words[-2:]
    wanted = None if dataset is None else opt.plain_name(dataset)
    sides = [_run_of(text, opt.roots_of(results), wanted) for text in (first, second)]
    if sides[0] and sides[1]:
        _compare_runs(sides[0], sides[1], (first, second))
    elif sides[0] or sides[1]:
        run, cell = (first, second) if sides[0] else (second, first)
        raise UsageError(f"{run!r} is a run and {cell!r} is none: name two runs, or two cells")
    else:
        _compare_cells(first, second, opt.roots_of(results), wanted)


# Stores by data set, and what narrows their rows.
_Run = tuple[Mapping[str, "Store"], Mapping[str, str]]


def _run_of(text: str, roots: Sequence[Path], dataset: str | None) -> _Run | None:
    """The rows of a run or a folder that `text` names; None where it names neither. Raises BenchError."""
    from bench.record.several import as_one, find_stores
    from bench.record.store import Store

    folder = Path(text)
    if (folder / "trials.csv").is_file():
        return {folder.resolve().name: Store(folder)}, {}
    if folder.is_dir():
        return {name: as_one(found) for name, found in find_stores([opt.root_of(folder)], dataset).items()}, {}
    stores = {
        path.parent.parent.name: Store(path.parent.parent)
        for root in roots
        for path in root.glob(f"{dataset or '*'}/runs/{glob.escape(text.replace('/', '_'))}.json")
    }
    return (stores, {"run": text}) if stores else None


def _compare_runs(first: _Run, second: _Run, names: Sequence[str]) -> None:
    from bench.report.comparing import render_runs

    both = [name for name in first[0] if name in second[0]]
    if not both:
        raise UsageError(f"{names[0]} and {names[1]} have no data set in common")
    for dataset in both:
        sides = [_evidence(stores[dataset], dataset, where) for stores, where in (first, second)]
        print(f"On {dataset}:\n\n{render_runs(sides[0], sides[1], names)}")


def _compare_cells(first: str, second: str, roots: Sequence[Path], dataset: str | None) -> None:
    from bench.record.several import as_one, find_stores
    from bench.report.comparing import render_cells

    known: dict[str, None] = {}
    labels, printed = [" ".join(text.split()) for text in (first, second)], False
    for name, stores in find_stores(roots, dataset).items():
        evidence = _evidence(as_one(stores), name, {})
        cells = {cell.label: cell for cell in evidence.cells}
        known |= dict.fromkeys(cells)
        sides = [cells.get(label) for label in labels]
        if sides[0] and sides[1]:
            print(f"{chr(10) if printed else ''}{render_cells(evidence, sides[0], sides[1])}")
            printed = True
    for label in labels:
        if label not in known:
            raise UsageError(f"no cell or run is called {label!r}: {near_matches(label, known)}")
    if not printed:
        raise UsageError(f"no data set has rows of both {first!r} and {second!r}")


def _evidence(store: "Store", dataset: str, where: Mapping[str, str]) -> "Evidence":
    from bench.session.reports import todays_evidence

    return todays_evidence(store, dataset, where)
