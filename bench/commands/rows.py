"""`bench rows`: the recorded rows as one table, for one's own analysis."""

import csv
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands import options as opt
from bench.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("csv", "json")


def rows(
    study: opt.StudyName = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="The rows on this data set. Default: on every one.", show_default=False),
    ] = None,
    results: opt.SeveralResults = None,
    epochs: Annotated[bool, typer.Option("--epochs", help="A row for each epoch of each trial.")] = False,
    images: Annotated[
        bool,
        typer.Option(
            "--images", help="A row for each test image of each trial: its label, what it was taken for, right or not."
        ),
    ] = False,
    form: Annotated[str, typer.Option("--format", help="csv, or json: an object a line.")] = "csv",
) -> None:
    """Print a row for each recorded trial: its cell, whether that is a preset, each factor's level, what it reached,
    what it cost, and the machine. Truth values are true and false; accuracies are fractions, times seconds.

    `bench rows | duckdb -c "select cell, avg(test_accuracy) from read_csv('/dev/stdin') group by cell"`
    """
    if epochs and images:
        raise UsageError("--epochs and --images exclude each other: give one of them")
    if form not in FORMATS:
        raise UsageError(f"--format is one of {', '.join(FORMATS)}, not {form!r}")
    opt.use_study(study)
    roots = opt.roots_of(results)
    wanted = None if dataset is None else opt.plain_name(dataset)

    from bench.record.joined import join_rows
    from bench.record.several import find_stores

    joined = [join_rows(stores) for stores in find_stores(roots, wanted).values()]
    for one in joined:
        opt.say_different(one.different)
    header = dict.fromkeys(name for one in joined for name in one.columns(epochs=epochs, images=images))
    for one in joined:
        frames = one.epochs() if epochs else one.images() if images else [one.trials]
        _write(frames, list(header), form, is_first=one is joined[0])


def _write(frames: Iterable["pd.DataFrame"], header: list[str], form: str, *, is_first: bool) -> None:
    """Prints frames one below the other; what a frame doesn't have is empty."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if is_first and form == "csv":
        writer.writerow(header)
    for frame in frames:
        whole = frame.reindex(columns=header).astype(object)
        for values in whole.where(whole.notna(), None).itertuples(index=False, name=None):
            if form == "csv":
                writer.writerow([str(value).lower() if isinstance(value, bool) else value for value in values])
            else:
                sys.stdout.write(json.dumps(dict(zip(header, values, strict=True)), ensure_ascii=False) + "\n")
