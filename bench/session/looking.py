"""A look at a run that goes on until it is settled: its rows, and what is said of it."""

from collections import Counter
from collections.abc import Mapping, Sequence

from bench.plan.cells import Cell
from bench.plan.proposing import FIRST_SEEDS
from bench.plan.trials import Trial
from bench.record.schema import LookRow
from bench.report.looked import Look, looks_under, written_seeds
from bench.report.show.words import few, listed, plural
from bench.report.stats.verdict import SETTLED, Verdict
from bench.run.progress import format_duration
from bench.run.runner import Run
from bench.run.worker import utc_now
from bench.session.until import Arm, Standing

_IN_WORDS = {
    Verdict.HELPS: ("helps", "help"),
    Verdict.HURTS: ("hurts", "hurt"),
    Verdict.EQUIVALENT: ("makes no difference that matters", "make no difference that matters"),
}


def looks_of(run: Run) -> tuple[Look, ...]:
    """The looks that were recorded under the run's protocol."""
    return looks_under(run.store.looks(), _protocol(run))


def seeds_at(look: Look, arm: Arm) -> frozenset[int]:
    """The seeds that a cell had by then."""
    cell, protocol = arm
    return look.seeds.get((cell.label, protocol.rate(cell)), frozenset())


def look_rows(run: Run, standing: Standing) -> list[LookRow]:
    """The rows of a look: of each cell that has other seeds than at the one before."""
    looks, at = looks_of(run), utc_now()
    shared = _protocol(run)
    return [
        LookRow(
            run=run.provenance.run,
            look=1 + max((look.number for look in looks), default=0),
            looked_at=at,
            epochs=int(str(shared["epochs"])),
            batch_size=int(str(shared["batch_size"])),
            optimizer=str(shared["optimizer"]),
            precision=str(shared["precision"]),
            device=str(shared["device"]),
            data=str(shared["data"]),
            cell=arm[0].label,
            lr=arm[1].rate(arm[0]),
            seeds=written_seeds(seeds),
        )
        for arm, seeds in standing.tried.items()
        if not looks or seeds_at(looks[-1], arm) != seeds
    ]


def settled_count(standing: Standing) -> str:
    """`9 of 16 contrasts settled`."""
    return f"{len(standing.judgements) - len(standing.open)} of {plural(len(standing.judgements), 'contrast')} settled"


def concluded(standing: Standing) -> str:
    """`9 of 16 contrasts settled (4 help, 5 make no difference that matters), open: tiny batch_norm=on`."""
    counts = Counter(one.verdict for one in standing.judgements if one.settled)
    how = listed(
        [f"{counts[verdict]} {_IN_WORDS[verdict][counts[verdict] > 1]}" for verdict in SETTLED if counts[verdict]]
    )
    still = [standing.design.asked[number].label for number in standing.open]
    return f"{settled_count(standing)}{f' ({how})' if how else ''}{f', open: {few(still)}' if still else ''}"


def expectation(standing: Standing, expected: Mapping[Cell, float], workers: int) -> str:
    """What it should take to settle what is open."""
    lines = [f"{len(standing.tried)} cells have rows: {concluded(standing)}." if standing.tried else ""]
    first = [share for share in standing.shares if len(standing.tried.get(share.arm, ())) < FIRST_SEEDS]
    if first:
        trials = standing.trials
        lines.append(
            f"{plural(len(standing.judgements), 'contrast')} of {plural(len(standing.design.arms), 'cell')}: each cell "
            f"gets {FIRST_SEEDS} seeds first, {_cost(trials, expected, workers)}; what they show decides the rest."
        )
    elif (target := standing.expected()) is not None:
        closing = [number for number, outlook in standing.outlooks.items() if outlook.more is not None]
        lines.append(
            f"If differences stay as they are, {_cost(target, expected, workers)} more settle {len(closing)} of the "
            f"{len(standing.open)} open."
        )
    never = [n for n, outlook in standing.outlooks.items() if outlook.more is None and n not in standing.hopeless]
    if never and not first:
        lines.append(
            f"{_named(standing, never)}: not with {standing.design.most:,} seeds a cell, as it looks now; seeds go "
            "there last."
        )
    if standing.hopeless:
        lines.append(f"{_named(standing, standing.hopeless)}: most trials diverge or fail, so that more are no use.")
    return "\n".join(filter(None, lines))


def next_line(standing: Standing, batch: Sequence[Trial]) -> str:
    """`Look: 9 of 16 contrasts settled ... Next 8 trials: 5 of tiny batch_norm=on, 3 of tiny, for batch_norm ...`"""
    counts = Counter(trial.arm for trial in batch)
    who = few([f"{number} of {_label(standing, arm)}" for arm, number in counts.items()])
    numbers = list(dict.fromkeys(share.pair for share in standing.shares if share.arm in counts))
    whom = few([f"{standing.design.asked[n].label}{_why(standing, n)}" for n in numbers], 3)
    return f"{settled_count(standing)}. Next {plural(len(batch), 'trial')}: {who}; for {whom}."


def _why(standing: Standing, number: int) -> str:
    outlook = standing.outlooks[number]
    if standing.looked[number] is None:
        return " (no seeds yet)"
    return "" if outlook.more is None else f" (about {max(outlook.more, 1):,} more should settle it)"


def _label(standing: Standing, arm: Arm) -> str:
    cell, protocol = arm
    return cell.label if protocol == standing.design.protocol else f"{cell.label} lr={protocol.rate(cell):g}"


def _named(standing: Standing, numbers: Sequence[int]) -> str:
    return few([standing.design.asked[number].label for number in numbers])


def _cost(trials: Sequence[Trial] | Mapping[Arm, int], expected: Mapping[Cell, float], workers: int) -> str:
    """`120 trials, about 2 h 10 min with 2 workers`."""
    counts = trials if isinstance(trials, Mapping) else Counter(trial.arm for trial in trials)
    number = sum(counts.values())
    seconds = sum(expected[cell] * count for (cell, _), count in counts.items()) / max(min(workers, number), 1)
    return f"{plural(number, 'trial')}, about {format_duration(seconds)} with {plural(workers, 'worker')}"


def _protocol(run: Run) -> dict[str, object]:
    protocol = run.protocol
    return {
        "epochs": protocol.epochs,
        "batch_size": protocol.batch_size,
        "optimizer": protocol.optimizer,
        "precision": protocol.precision,
        "device": protocol.device,
        "data": run.provenance.data,
    }
