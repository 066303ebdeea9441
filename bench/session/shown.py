"""What a report shows and only a run can record, which has the test images."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from bench.plan.readouts import LAST
from bench.record.probabilities import quality
from bench.record.schema import EnsembleRow
from bench.run.runner import Run, record_images
from bench.session.reports import todays_evidence

if TYPE_CHECKING:
    from bench.report.evidence import Evidence

# Fewer seeds make no ensemble.
_FEWEST = 2


def record_shown(run: Run) -> "Evidence":
    """Records the test images that most of the run's trials missed, and how good ensembles of a cell's seeds are, where
    their probabilities were kept. Returns the evidence, these included."""
    # What a report is made with takes seconds to import, and training needs none of it.
    from bench.report.evidence import shown_anew
    from bench.report.sections.hardest import HARDEST_IMAGES

    evidence = todays_evidence(run.store, run.data.name, prefer=run.own_keys)
    record_images(run, [index for index, _ in evidence.hardest_images(HARDEST_IMAGES)])
    kept = run.store.kept_probabilities()
    if kept:
        cells = [[str(trial) for trial in evidence.rows(cell)["trial"] if trial in kept] for cell in evidence.cells]
        _record_ensembles(run, cells)
    return shown_anew(evidence, run.store)


def _record_ensembles(run: Run, cells: Sequence[Sequence[str]]) -> None:
    """Of each cell's trials, in the order of their seeds, unless the same are recorded; one trial is no ensemble."""
    from bench.report.stats.ensembles import averaged, groups_of

    labels = run.data.held_out.labels.numpy()
    recorded = set(run.store.ensembles()["members"])
    rows = []
    for trials in cells:
        if len(trials) < _FEWEST or {" ".join(group) for group in groups_of(trials)} <= recorded:
            continue
        read = {trial: run.store.probabilities(trial, LAST) for trial in trials}
        predicted = {trial: one for trial, one in read.items() if one is not None and len(one) == len(labels)}
        rows += [
            EnsembleRow(
                members=" ".join(group),
                run=run.provenance.run,
                images=len(labels),
                **asdict(quality(averaged([predicted[trial] for trial in group]), labels)),
            )
            for group in groups_of(list(predicted))
        ]
    if rows:
        with run.store.lock():
            run.store.add_ensembles(rows)
