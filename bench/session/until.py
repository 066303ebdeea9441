"""The design that goes on until it is settled: every toggle, with seeds where they decide."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from bench.plan.cells import Cell
from bench.plan.proposing import FIRST_SEEDS, LEAST_SEEDS, Results
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.report.sections.effects.questions import Question, questions
from bench.report.stats.allocation import Outlook, Pair, Share, differences, next_shares, outlooks
from bench.report.stats.sequential import Anytime, Seen, judge_seen
from bench.report.stats.verdict import Judgement

# A cell whose trials mostly diverge or fail, of twice the first seeds, gets no more.
_TRIED = 2 * FIRST_SEEDS

Arm = tuple[Cell, Protocol]


@dataclass(frozen=True)
class UntilSettled:
    """Asks `questions` of cells under a protocol, with at most `most` seeds a cell and about `batch` trials at a time.

    `margin` is a fraction, `step` what accuracies move in; the family of contrasts has so many `others` that this
    design doesn't train. `seen` is what looks have shown, a question each, nothing before the first.
    """

    asked: tuple[Question, ...]
    protocol: Protocol
    margin: float
    most: int
    batch: int
    step: float = 0.0
    others: int = 0
    seen: tuple[Seen, ...] = ()

    @cached_property
    def pairs(self) -> tuple[Pair[Arm], ...]:
        """The questions' arms."""
        under = self.protocol.at
        return tuple(
            Pair(
                (question.treated, under(question.treated, question.rates[0])),
                (question.baseline, under(question.baseline, question.rates[1])),
            )
            for question in self.asked
        )

    @property
    def arms(self) -> list[Arm]:
        """The cells and what each is trained under, presets before their toggles."""
        found = dict.fromkeys(arm for pair in self.pairs for arm in (pair.treated, pair.baseline))
        return sorted(found, key=lambda arm: (arm[1] != self.protocol, not arm[0].is_preset))

    def look(self, results: Results) -> "Standing":
        """Where it stands with these results, which are looked at."""
        values: dict[Arm, dict[int, float]] = {}
        tried: dict[Arm, set[int]] = {}
        for trial, accuracy in results.items():
            tried.setdefault(trial.arm, set()).add(trial.seed)
            if accuracy is not None:
                values.setdefault(trial.arm, {})[trial.seed] = accuracy
        looked = differences(self.pairs, values, self.step)
        before = self.seen or (Seen(),) * len(self.pairs)
        seen = tuple(
            one if difference is None else one.after(difference, self.margin)
            for one, difference in zip(before, looked, strict=True)
        )
        judgements = judge_seen(seen, self.others)
        found = outlooks(self.pairs, values, looked, judgements, self.margin, self.most, self.others)
        given_up = {
            arm for arm, seeds in tried.items() if len(seeds) >= _TRIED and 2 * len(values.get(arm, ())) < len(seeds)
        }
        hopeless = [n for n in found if {self.pairs[n].treated, self.pairs[n].baseline} & given_up]
        trainable = {number: outlook for number, outlook in found.items() if number not in hopeless}
        done = {arm: len(own) for arm, own in values.items()}
        return Standing(
            design=replace(self, seen=seen),
            looked=tuple(looked),
            judgements=tuple(judgements),
            outlooks=found,
            hopeless=tuple(hopeless),
            shares=tuple(next_shares(self.pairs, trainable, done, self.most, self.batch)),
            tried={arm: frozenset(seeds) for arm, seeds in tried.items()},
        )

    def propose(self, results: Results) -> Sequence[Trial]:
        """The next batch; none when everything is settled, or can't be within the limits."""
        return self.look(results).trials


@dataclass(frozen=True)
class Standing:
    """What a look showed: of each question the difference (None without rows) and the judgement, of open ones what
    should close them, and who gets the next seeds on account of what. `hopeless` are questions about cells that don't
    train; `tried` the seeds that each arm has, whatever came of them."""

    design: UntilSettled
    looked: tuple[Anytime | None, ...]
    judgements: tuple[Judgement, ...]
    outlooks: Mapping[int, Outlook]
    hopeless: tuple[int, ...]
    shares: tuple[Share[Arm], ...]
    tried: Mapping[Arm, frozenset[int]] = field(default_factory=dict)

    @property
    def open(self) -> list[int]:
        """The numbers of the questions that aren't settled."""
        return [number for number, judgement in enumerate(self.judgements) if not judgement.settled]

    @property
    def shows_nothing(self) -> bool:
        """Whether cells still get their first seeds and none has enough to settle anything: no look worth recording."""
        enough = any(one is not None and one.n >= LEAST_SEEDS for one in self.looked)
        return self._is_first and not enough

    @property
    def trials(self) -> list[Trial]:
        """The next batch, seed by seed where cells get their first ones."""
        chosen = list(self._trials())
        return sorted(chosen, key=lambda trial: trial.seed) if self._is_first else chosen

    @property
    def _is_first(self) -> bool:
        return any(len(self.tried.get(share.arm, ())) < FIRST_SEEDS for share in self.shares)

    def expected(self) -> dict[Arm, int] | None:
        """How many trials of each cell should settle all that can be; None before there is anything to tell from."""
        target: dict[Arm, int] = {}
        for number, outlook in self.outlooks.items():
            pair = self.design.pairs[number]
            if outlook.seeds is not None:
                for arm, seeds in zip((pair.treated, pair.baseline), outlook.seeds, strict=True):
                    target[arm] = max(target.get(arm, 0), seeds)
        more = {arm: seeds - len(self.tried.get(arm, ())) for arm, seeds in target.items()}
        return {arm: seeds for arm, seeds in more.items() if seeds > 0} if target else None

    def _trials(self) -> Iterator[Trial]:
        """The lowest seeds that an arm has not had yet: cells stay paired."""
        taken: dict[Arm, set[int]] = {arm: set(seeds) for arm, seeds in self.tried.items()}
        for share in self.shares:
            cell, protocol = share.arm
            own = taken.setdefault(share.arm, set())
            for _ in range(share.seeds):
                seed = next(seed for seed in range(len(own) + 1) if seed not in own)
                own.add(seed)
                yield Trial(cell, seed, protocol)


def until_settled(
    cells: Sequence[Cell], protocol: Protocol, margin: float, most: int, batch: int, step: float = 0.0
) -> UntilSettled:
    """The design on all toggles among the cells."""
    return UntilSettled(tuple(questions(cells, protocol.rate)), protocol, margin, most, batch, step)
