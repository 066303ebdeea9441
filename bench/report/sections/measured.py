"""What was measured on what: a report's first sentence, its last facts, and what its rows can't say."""

from collections.abc import Iterator

from bench.plan.catalogue import Rates, catalogue
from bench.report.choosing import SELECTED
from bench.report.report import Report
from bench.report.sections.cells.cost import costs
from bench.report.sections.cells.results import cell_results
from bench.report.sections.confusion.recalls import ACCURACY
from bench.report.sections.effects.looks import looks_facts, looks_sentence
from bench.report.sections.effects.measured import effects
from bench.report.sections.presets import preset_steps
from bench.report.sections.section import Caveat, Place, Section, Weight
from bench.report.show.machines import kinds_of_bits
from bench.report.show.words import listed, plural
from bench.report.stats.paired import seeds_for_sign_flip, smallest_sign_flip_p
from bench.report.stats.verdict import ALPHA


def opening(report: Report) -> str:
    """What was measured on what, with how many seeds: a report's first sentence."""
    evidence = report.evidence
    protocol = evidence.protocol
    counts = sorted(result.accuracy.n for result in cell_results(report))
    fewest, most = counts[0], counts[-1]
    number = plural(most, "seed") if fewest == most else f"{fewest:,} to {plural(most, 'seed')}"
    kinds = kinds_of_bits(evidence.trials["machine"], evidence.machines)
    where = f"{protocol['device']}{f' ({listed(list(kinds))})' if kinds else ''}"
    looks = looks_sentence(evidence)
    more = f"{plural(len(evidence.apart), 'training')} of {plural(len(evidence.apart_cells), 'cell')}"
    apart = f" Another {more} are in a section of their own." if len(evidence.apart) else ""
    return (
        f"Measured on {evidence.dataset}: {plural(len(evidence.trials), 'training')} of "
        f"{plural(len(evidence.cells), 'cell')} (a network with a set of techniques), {number} each, "
        f"{plural(int(str(protocol['epochs'])), 'epoch')}, in {protocol['precision']} on {where}. What counts is "
        f"{ACCURACY.what} after the last epoch.{apart}{f' {looks}' if looks else ''}"
    )


def report_title(report: Report) -> str:
    """What the report is about: what the user's study says of itself, or the question."""
    known = catalogue()
    return known.title if known.name and known.title else f"Which technique helps on {report.evidence.dataset}?"


_OPTIMIZERS = {"sgd": "SGD, momentum 0.9", "adamw": "AdamW"}


def rates_in_words(rates: Rates) -> str:
    """`one for each scheduler and batch norm, selected on held-out training images`."""
    each = f"one for each {listed([name.replace('_', ' ') for name in rates.by])}" if rates.by else "one for all cells"
    return f"{each}, {rates.source or ('as the study says' if rates.selected else 'the default')}"


def protocol_facts(report: Report) -> list[tuple[str, str]]:
    """What all trials of the report share, name by name."""
    protocol, trials = report.evidence.protocol, report.evidence.trials
    rate = protocol["rate"]
    return [
        ("Data set", report.evidence.dataset),
        ("Epochs", str(protocol["epochs"])),
        ("Batch size", str(protocol["batch_size"])),
        ("Optimiser", _OPTIMIZERS.get(str(protocol["optimizer"]), str(protocol["optimizer"]))),
        (
            "Learning rate",
            rates_in_words(report.evidence.known_rates) if rate == SELECTED else f"{rate} for every cell",
        ),
        *looks_facts(report.evidence),
        ("Precision", str(protocol["precision"])),
        ("Device", str(protocol["device"])),
        ("Trained", f"{trials['started_at'].min()} to {trials['started_at'].max()}"),
        ("Digest of the data", str(protocol["data"])),
        ("Digest of the training code", str(protocol["code"])),
    ]


def timed_on(report: Report) -> list[str]:
    """The machine that speeds are of, if there are any."""
    machine = costs(report).machine
    return [] if machine is None else [machine]


def _caveats(report: Report) -> Iterator[Caveat]:
    evidence = report.evidence
    for left_out in evidence.left_out:
        yield Caveat(Weight.HOUSEKEEPING, f"Left out of this report: {left_out}.")
    kinds = kinds_of_bits(evidence.trials["machine"], evidence.machines)
    if len(kinds) > 1:
        shares = listed([f"{plural(number, 'trial')} on {kind}" for kind, number in kinds.items()])
        yield Caveat(
            Weight.HOUSEKEEPING,
            f"A seed gives the same bits on machines of one kind only, and these rows come from several: {shares}.",
        )
    yield from _what_few_seeds_cannot_show(report)


def _what_few_seeds_cannot_show(report: Report) -> Iterator[Caveat]:
    """The sign-flip test's limit, where it lies above 5 %."""
    sizes = [len(effect.comparison.shared) for effect in effects(report) if effect.comparison.shared]
    sizes += [len(step.comparison.shared) for step in preset_steps(report) if step.comparison.shared]
    enough = seeds_for_sign_flip(ALPHA)
    if not sizes or min(sizes) >= enough:
        return
    fewest = min(sizes)
    family = len(effects(report))
    adjusted = (
        f"; after Holm's adjustment for all {family} comparisons it takes {seeds_for_sign_flip(ALPHA / family)}"
        if family > 1
        else ""
    )
    yield Caveat(
        Weight.HOUSEKEEPING,
        f"What {plural(fewest, 'seed')} can't show: a test that takes differences to be symmetric and no more "
        f"(sign-flip) can't go below p = {smallest_sign_flip_p(fewest):.4g} with them, whatever the networks do. The "
        f"intervals here lean on differences between seeds being near normal. {enough} seeds can reach p < "
        f"0.05{adjusted}.",
    )


SECTION = Section("measured", "How it was measured", Place.APPENDIX, caveats=_caveats)
