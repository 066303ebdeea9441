"""A study from Python, as in a notebook: trained, its rows as a DataFrame, its report."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bench.errors import BenchError, UsageError
from bench.plan.catalogue import Catalogue, catalogue, using
from bench.plan.trials import planned
from bench.session.reports import DEFAULT_MARGIN, chosen_margin, write_reports
from bench.session.request import (
    chosen_cells,
    chosen_design,
    chosen_place,
    chosen_seeds,
    chosen_until,
    plain_name,
    protocol_of,
    root_of,
)

if TYPE_CHECKING:
    import pandas as pd

    from bench.run.runner import Run


class Made(Protocol):
    """A study that was made in this process, as bench.study.Study."""

    def here(self) -> Catalogue:
        """The study as what there is to choose from. Raises UsageError."""


def run(
    study: Made,
    *,
    models: str | Sequence[str] | None = None,
    design: str | None = None,
    factors: str | Sequence[str] | None = None,
    seeds: int | str | Iterable[int] | None = None,
    until: str | None = None,
    budget: str | None = None,
    margin: float = DEFAULT_MARGIN,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    optimizer: str | None = None,
    precision: str | None = None,
    device: str = "auto",
    val: int = 0,
    readouts: str | Sequence[str] | None = None,
    dataset: str | None = None,
    data_dir: Path | str = "data",
    results: Path | str = "results",
    workers: int | None = None,
    cluster: str | None = None,
    gpus_per_stack: float = 1.0,
    timing: bool | None = None,
    retry_failed: bool = False,
) -> "pd.DataFrame":
    """Trains what of the study has no row yet, with the options of `bench run` by name, and returns a row a trial, in
    the plan's order, with columns as `bench rows` prints them: `cell`, `is_preset`, a column a factor, accuracies as
    fractions. A toggle whose rate isn't its preset's has rows at both: `lr` is `selected_lr` at its own. `models`,
    `factors`, `seeds` and `readouts` may be lists. With `until="settled"` seeds go where they decide, until each
    technique is settled within the margin, in percentage points, or the budget, as in "3h", is spent. Raises
    BenchError, which says in one line what is wrong."""
    given = {name: value for name, value in locals().items() if name != "study" and value is not None}
    # What trains takes a second to import, and a study's file is read for less.
    from bench.report.summary import outcome_counts
    from bench.run.runner import prepare_run
    from bench.session.shown import record_shown
    from bench.session.training import settle, train_and_time

    with using(_catalogue(study)), redirect_stdout(sys.stderr):
        cells = chosen_cells(False, _joined(models), design, _joined(factors))
        place = chosen_place(workers, cluster, gpus_per_stack)
        numbers = chosen_seeds(_joined(seeds)) if until is None else (0,)
        most, allowed = chosen_until(until, budget, _joined(seeds), design, val)
        fraction = chosen_margin(margin)
        asked = _joined(readouts)
        checked = protocol_of(
            dataset,
            Path(data_dir),
            epochs,
            precision,
            device,
            batch_size=batch_size,
            lr=lr,
            optimizer=optimizer,
            val=val,
            readouts=asked,
            read_out=True,
        )
        protocol = settle(checked, dataset, Path(data_dir), precision, device, cluster is not None)
        chosen = chosen_design(design)
        wanted = list(planned(chosen, cells, numbers, protocol))
        run = prepare_run(wanted, chosen, Path(data_dir), root_of(Path(results)))
        timed = cluster is None if timing is None else timing
        if until is None:
            train_and_time(run, place, timed, retry_failed, given)
        else:
            from bench.session.settling import design_until, train_until

            endless = design_until(run, cells, place, fraction, most)
            run = train_until(run, endless, place, allowed, timed, retry_failed, given)
        if val == 0 and outcome_counts(run.rows())["done"]:
            record_shown(run)
        return _in_order(run)


def report(
    study: Made,
    *,
    dataset: str | None = None,
    results: Path | str = "results",
    reports: Path | str = "reports",
    margin: float = DEFAULT_MARGIN,
    where: Mapping[str, str] | None = None,
    png: bool = False,
) -> Path:
    """Writes the report on the study's rows on a data set, its first with rows if not said, with the options of
    `bench report` by name, and returns its page. Raises BenchError, which says in one line what is wrong."""
    from bench.record.store import Store

    with using(_catalogue(study)), redirect_stdout(sys.stderr):
        fraction = chosen_margin(margin)
        rows = root_of(Path(results))
        recorded = [name for name in catalogue().datasets if (rows / name / "trials.csv").exists()]
        name = plain_name(dataset) if dataset is not None else next(iter(recorded), None)
        if name is None:
            raise BenchError(f"{rows} has no rows: make some with bench.study.run(STUDY)")
        [page] = write_reports({name: Store(rows / name)}, root_of(Path(reports)), fraction, where, png=png)
        return page


def _catalogue(study: Made) -> Catalogue:
    if not callable(getattr(study, "here", None)):
        raise UsageError(f"the study is Study(...) from bench.study, not {type(study).__name__}")
    return study.here()


def _joined(given: int | str | Iterable[object] | None) -> str | None:
    """As the command line has it: names or numbers with commas between."""
    if given is None or isinstance(given, int | str):
        return None if given is None else str(given)
    # One seed alone would be a number of seeds.
    texts = list(map(str, given))
    return ",".join(texts if len(texts) != 1 else texts * 2)


def _in_order(run: "Run") -> "pd.DataFrame":
    """The rows of the run's trials, in the plan's order."""
    from bench.record.joined import readable

    rows: Any = readable(run.rows(), run.store.machines())
    places = {(named.key, named.trial.cell.label): at for at, named in enumerate(run.named)}
    order = [places[trial, cell] for trial, cell in zip(rows["trial"], rows["cell"], strict=True)]
    ordered: pd.DataFrame = rows.assign(_order=order).sort_values("_order").drop(columns="_order")
    return ordered.reset_index(drop=True)
