"""What follows from an architecture's layers alone. No torch here."""

from collections.abc import Iterator

from architectures.spec import Architecture


def receptive_fields(architecture: Architecture) -> Iterator[tuple[str, int]]:
    """(layer name, receptive field side in input pixels) of every convolution and pool, from the spec alone.

    A layer of kernel k on a grid whose points lie `jump` pixels apart widens the field by (k - 1) x jump and a stride
    multiplies the jump (Araujo, Norris and Sim 2019, "Computing receptive fields of convolutional neural networks",
    equations 1 and 2).
    """
    field, jump = 1, 1
    for number, conv in enumerate(architecture.blocks, start=1):
        field += (conv.kernel - 1) * jump
        yield f"block{number}.conv", field
        if conv.pool > 1:
            field += (conv.pool - 1) * jump
            jump *= conv.pool
            yield f"block{number}.pool", field
    field += (architecture.classifier.kernel - 1) * jump
    yield "classifier", field
