"""Independent random streams from a seed.

The cell is left out of the hash: cells stay paired by seed, and flipping a factor reseeds no other stream.
"""

import hashlib

STREAMS = ("init", "order", "augmentation", "dropout", "holdout")


def stream(name: str, seed: int) -> int:
    """A 63-bit number to seed the generator called `name` with, in the replicate `seed`."""
    if name not in STREAMS:
        raise ValueError(f"no random stream is called {name!r}")
    digest = hashlib.sha256(f"{name}:{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def batch_stream(seed: int) -> int:
    """As `stream`, for the generator that changes of batches draw from. It joined later, and the code of `stream`, its
    names with it, stands in the keys of what was trained before."""
    digest = hashlib.sha256(f"batch:{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def images_stream(seed: int) -> int:
    """As `batch_stream`, for the generator that draws which training images there are."""
    digest = hashlib.sha256(f"images:{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
