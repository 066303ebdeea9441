"""A trial: one training of one cell with one seed under a protocol, and the key that names it."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from functools import cache

from architectures.spec import Classifier, Conv
from bench.plan.augmentation import AUGMENTATIONS, Augmentation
from bench.plan.cells import Cell, find_architecture
from bench.plan.protocol import Protocol


@dataclass(frozen=True, slots=True)
class Trial:
    """One training, one row."""

    cell: Cell
    seed: int
    protocol: Protocol

    @property
    def lr(self) -> float:
        """The learning rate of this trial's cell."""
        return self.protocol.rate(self.cell.levels)

    @property
    def stack_key(self) -> tuple[object, ...]:
        """Trials that share it can train as one stack: shapes of weights, and all of the protocol but the rate."""
        protocol = self.protocol
        shared = [getattr(protocol, field.name) for field in fields(protocol) if field.name != "lr"]
        return *self.cell.shapes, *shared

    def key(self, data_digest: str, code_digest: str) -> str:
        """16 hexadecimal digits that change with everything that can change the outcome, and with nothing else.

        The layers count, not the file they stand in; what an augmentation does, not its name; the rate, not whether it
        was given or looked up.
        """
        architecture = find_architecture(self.cell.architecture)
        augmentation = AUGMENTATIONS[self.cell.levels.augmentation]
        inputs = {
            **_shared_inputs(architecture.blocks, architecture.classifier, augmentation, self.cell, self.protocol),
            "seed": self.seed,
            "data": data_digest,
            "code": code_digest,
        }
        text = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def trials(cells: Iterable[Cell], seeds: int, protocol: Protocol) -> Iterator[Trial]:
    """Every cell with every seed, seed by seed: a run that is cut short still has whole replicates."""
    distinct = list(dict.fromkeys(cells))
    for seed in range(seeds):
        for cell in distinct:
            yield Trial(cell, seed, protocol)


@cache
def _shared_inputs(
    blocks: tuple[Conv, ...], classifier: Classifier, augmentation: Augmentation, cell: Cell, protocol: Protocol
) -> dict[str, object]:
    """What the keys of a cell's trials under one protocol have in common."""
    return {
        "blocks": [asdict(block) for block in blocks],
        "classifier": asdict(classifier),
        "architecture": cell.architecture,
        "levels": asdict(cell.levels) | {"augmentation": asdict(augmentation)},
        "protocol": asdict(protocol) | {"lr": protocol.rate(cell.levels)},
    }
