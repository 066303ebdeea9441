"""A trial: one training of one cell with one seed under a protocol, and the key that names it."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cache

from architectures.spec import Classifier, Conv
from bench.plan.augmentation import AUGMENTATIONS
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

    def key(self, data_digest: str, code_digest: str) -> str:
        """16 hexadecimal digits that change with everything that can change the outcome, and with nothing else.

        The layers count, not the file they stand in; what an augmentation does, not its name; the rate, not whether it
        was given or looked up.
        """
        architecture = find_architecture(self.cell.architecture)
        inputs = {
            **_layers(architecture.blocks, architecture.classifier),
            "architecture": architecture.name,
            "levels": asdict(self.cell.levels) | {"augmentation": asdict(AUGMENTATIONS[self.cell.levels.augmentation])},
            "seed": self.seed,
            "protocol": asdict(self.protocol) | {"lr": self.lr},
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
def _layers(blocks: tuple[Conv, ...], classifier: Classifier) -> dict[str, object]:
    return {"blocks": [asdict(block) for block in blocks], "classifier": asdict(classifier)}
