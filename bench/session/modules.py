"""The modules that a study is written in: its file, and what that imports from beside it."""

import hashlib
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

_OURS = ("architectures", "bench")


def modules_of(names: Mapping[str, Any]) -> tuple[ModuleType, ...]:
    """The module whose globals are `names`, where there is one, and those that these use, and so on, that lie in its
    folder; at a prompt that is the current one. Other processes can't import them."""
    file = names.get("__file__")
    folder = Path(file).resolve().parent if isinstance(file, str) else Path.cwd()
    own = sys.modules.get(str(names.get("__name__")))
    found = {own.__name__: own} if own is not None and vars(own) is names else {}
    waiting = [names]
    while waiting:
        for value in list(waiting.pop().values()):
            name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            module = sys.modules.get(name) if isinstance(name, str) else None
            if module is not None and module.__name__ not in found and _is_helper(module, folder):
                found[module.__name__] = module
                waiting.append(vars(module))
    return tuple(found.values())


def lies_in(module: ModuleType, folder: Path) -> bool:
    """Whether it is a file in the folder, or below it, that nobody installed."""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or is_installed(module):
        return False
    return file.endswith(".py") and Path(file).resolve().is_relative_to(folder)


def is_installed(module: ModuleType) -> bool:
    """Whether other processes can import it: it lies where packages are installed."""
    return "site-packages" in Path(getattr(module, "__file__", None) or "").parts


def digest_of_files(files: Iterable[Path]) -> str:
    """16 hexadecimal digits of files' names and contents; what is no file is left out."""
    digest = hashlib.sha256()
    for file in sorted(files):
        if file.is_file():
            digest.update(f"{file.name}\n".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def folder_name(name: str) -> str:
    """A name that a folder can have."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name).strip("_") or "study"


def _is_helper(module: ModuleType, folder: Path) -> bool:
    return module.__name__.partition(".")[0] not in _OURS and lies_in(module, folder)
