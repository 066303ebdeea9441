"""`bench rerun`: repeats a run with exactly its settings."""

from pathlib import Path
from typing import Annotated

import typer

from bench.commands import options as opt
from bench.commands.report import Reports
from bench.plan.catalogue import catalogue


def rerun(
    run: Annotated[str, typer.Argument(help="The run's name, as rows have it under `run`, or the path of its file.")],
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Default: where the run had it.", show_default=False)
    ] = None,
    results: opt.Results = Path("results"),
    workers: opt.Workers = None,
    cluster: opt.Cluster = None,
    gpus_per_stack: opt.GpusPerStack = 1.0,
    timing: Annotated[
        bool, typer.Option("--timing/--no-timing", help="Measure throughput when the training is done.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Train those again whose row says that they failed.")
    ] = False,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Write the report when the run is done.")] = True,
    reports: Reports = Path("reports"),
) -> int:
    """Repeat a run: its cells, seeds, protocol and learning rates, whatever the study's defaults are by now.

    Rows go beside the run's own. A trial that has a row is not trained again, unless what it is made of has changed.
    """
    place = opt.chosen_place(workers, cluster, gpus_per_stack)
    place.begin()

    from bench.run.runner import prepare_run
    from bench.session.recorded import find_run, read_run, use_rates
    from bench.session.training import carry_out

    recorded = read_run(find_run(run, results))
    if recorded.study is not None:
        opt.use_study(recorded.found_study())
    if recorded.digest != catalogue().digest:
        print(
            f"{recorded.study} has changed since this run ({recorded.digest}, now {catalogue().digest}): "
            "trials that use what changed are trained anew"
        )
    use_rates(recorded)
    wanted = recorded.trials()
    data = data_dir or Path(str(recorded.given.get("data_dir", "data")))
    prepared = prepare_run(wanted, recorded.design, data, recorded.root)
    if prepared.provenance.data != recorded.data:
        print(f"{prepared.protocol.dataset} has changed since this run: its trials are trained anew")
    again = {**recorded.given, "rerun": recorded.path.stem}
    return carry_out(prepared, place, timing, retry_failed, opt.root_of(reports) if report else None, again)
