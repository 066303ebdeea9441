"""What a report shows and only a run can record, which has the test images."""

from collections.abc import Sequence
from dataclasses import asdict

from bench.plan.readouts import LAST
from bench.record.probabilities import quality
from bench.record.schema import EnsembleRow
from bench.run.networks import network_today
from bench.run.runner import Run, record_images


def record_shown(run: Run) -> None:
    """Records the test images that most of the run's trials missed, and how good ensembles of a cell's seeds are, where
    their probabilities were kept."""
    # What a report is made with takes seconds to import, and training needs none of it.
    from bench.report.evidence import gather
    from bench.report.sections.hardest import HARDEST_IMAGES
    from bench.report.stats.ensembles import groups_of

    evidence = gather(run.store, run.data.name, networks=network_today, prefer=run.own_keys)
    record_images(run, [index for index, _ in evidence.hardest_images(HARDEST_IMAGES)])
    recorded = set(run.store.ensembles()["members"])
    for cell in evidence.cells:
        trials = [str(trial) for trial in evidence.rows(cell)["trial"]]
        kept = [trial for trial in trials if run.store.has_probabilities(trial)]
        if len(kept) > 1 and not {" ".join(group) for group in groups_of(kept)} <= recorded:
            _record_ensembles(run, kept)


def _record_ensembles(run: Run, trials: Sequence[str]) -> None:
    """Of one cell's trials, in the order of their seeds."""
    from bench.report.stats.ensembles import averaged, groups_of

    labels = run.data.held_out.labels.numpy()
    read = {trial: run.store.probabilities(trial, LAST) for trial in trials}
    predicted = {trial: one for trial, one in read.items() if one is not None and len(one) == len(labels)}
    rows = [
        EnsembleRow(
            members=" ".join(group),
            run=run.provenance.run,
            images=len(labels),
            **asdict(quality(averaged([predicted[trial] for trial in group]), labels)),
        )
        for group in groups_of(list(predicted))
    ]
    with run.store.lock():
        run.store.add_ensembles(rows)
