"""Which architectures there are. A new one is a file beside this one and a line in `_MODULES`. No torch here."""

from difflib import get_close_matches

from architectures import model1, model2, model3
from architectures.spec import Architecture

_MODULES = (model1, model2, model3)

ARCHITECTURES: dict[str, Architecture] = {module.ARCHITECTURE.name: module.ARCHITECTURE for module in _MODULES}


class UnknownArchitectureError(LookupError):
    """No architecture has this name; the message offers the nearest names."""

    def __init__(self, name: str) -> None:
        near = get_close_matches(name, ARCHITECTURES, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(ARCHITECTURES)}"
        super().__init__(f"no architecture is called {name!r}: {hint}")


def get(name: str) -> Architecture:
    """The architecture called `name`. Raises UnknownArchitectureError."""
    try:
        return ARCHITECTURES[name]
    except KeyError:
        raise UnknownArchitectureError(name) from None
