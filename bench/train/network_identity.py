"""What a cell's network computes, as the digest that a trial's key has of it."""

from bench.interrupted import Terminated
from bench.plan.catalogue import catalogue
from bench.plan.cells import Cell
from bench.train.network import NetworkError, check_logits, plain_network, said, shape_text
from bench.train.trace import network_digest

# To run a network takes some ten milliseconds, and a plan asks for each as often as it has trials.
_networks: dict[tuple[object, ...], str] = {}


def network_part(cell: Cell, input_shape: tuple[int, int, int], classes: int) -> str:
    """The digest of what the cell's network computes and how it starts. Raises NetworkError
    where it can't be built or doesn't map them to logits."""
    kind = (catalogue(), cell.network, input_shape, classes)
    if kind not in _networks:
        _networks[kind] = _network(cell, input_shape, classes)
    return _networks[kind]


def _network(cell: Cell, input_shape: tuple[int, int, int], classes: int) -> str:
    def check(logits: object, images: int) -> None:
        check_logits(logits, images, classes, cell)

    def digest() -> str:
        return network_digest(lambda: plain_network(cell, input_shape, classes), input_shape, check)

    try:
        found = digest()
        # Of the built-in study's networks it is known.
        if catalogue().name and digest() != found:
            raise NetworkError(
                f"{cell.label} starts or computes differently each time that it is built with the same seed: draw "
                "what is random from torch's, numpy's or Python's global generator, which a trial's seed sets"
            )
        return found
    except (NetworkError, Terminated):
        raise
    except (Exception, SystemExit) as error:
        raise NetworkError(f"{cell.label} fails on images of {shape_text(input_shape)}: {said(error)}") from error
