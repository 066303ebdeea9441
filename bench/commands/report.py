"""`bench report`: turns rows into the page, the charts and the tables."""

import shlex
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from bench.commands import options as opt
from bench.errors import UsageError
from bench.session.reports import DEFAULT_MARGIN, chosen_margin, margin_option, write_reports

Margin = Annotated[
    float,
    typer.Option("--margin", help="The practical margin in percentage points: a smaller difference doesn't matter."),
]
Reports = Annotated[Path, typer.Option("--reports", help="Reports go to ROOT/<dataset>/.", metavar="ROOT")]


def report(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="The study, where it is one of yours, and folders of rows that are joined, as theirs/flowers "
            "mine/flowers. Default: what --results says.",
            metavar="[STUDY] [FOLDER]...",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="Report on this data set. Default: every one with rows.", show_default=False),
    ] = None,
    results: opt.SeveralResults = None,
    reports: Reports = Path("reports"),
    margin: Margin = DEFAULT_MARGIN,
    png: Annotated[bool, typer.Option("--png", help="Write each chart as a PNG as well, as for slides.")] = False,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            help="Only rows with this value in this column, as in precision=fp32. May be given several times.",
            metavar="COLUMN=VALUE",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write the page, the charts and the tables that the recorded rows support.

    Rows of different protocols are never pooled: without --where, the protocol with most finished trials is reported.
    Of several folders it is said which rows were pooled, and why the others weren't.
    """
    named = words or []
    own_study = bool(named) and not Path(named[0]).is_dir()
    opt.use_study(named[0] if own_study else None)
    folders = [Path(word) for word in named[own_study:]]
    strangers = [folder for folder in folders if not folder.is_dir()]
    if strangers:
        raise UsageError(f"there is no folder {strangers[0]}: after the study come folders of rows")
    if folders and results:
        raise UsageError("--results and folders exclude each other: name the folders alone")
    reports = opt.root_of(reports)
    fraction = chosen_margin(margin)
    conditions = dict(_condition(text) for text in where or [])
    wanted = None if dataset is None else opt.plain_name(dataset)

    from bench.record.several import Several, as_one, find_stores, stores_in

    found = stores_in(folders, wanted) if folders else find_stores(opt.roots_of(results), wanted)
    stores = {name: as_one(several) for name, several in found.items()}
    for store in stores.values():
        if isinstance(store, Several):
            opt.say_different(store.different)
    options = margin_option(fraction).split()
    for text in where or []:
        options += ["--where", text]
    if png:
        options.append("--png")
    for folder in results if results and len(results) > 1 else ():
        options += ["--results", folder.as_posix()]
    options += [folder.as_posix() for folder in folders]
    pages = write_reports(stores, reports, fraction, conditions, shlex.join(options), png=png)
    for page in pages if show else ():
        if not webbrowser.open(page.resolve().as_uri()):
            print(f"No browser was found: open {page.resolve()}")


def _condition(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--where takes a column and its value, as in precision=fp32, not {text!r}")
    return column, value
