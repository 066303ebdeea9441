"""A digest of the code that trains, blind to comments, docstrings and layout."""

import ast
import hashlib
from functools import cache
from pathlib import Path

import architectures
import bench
from bench.plan.protocol import Device

# Everything that a trial's outcome depends on. Architectures' own files are left out: a trial's key holds their layers.
_ALWAYS = (
    (architectures, "blocks.py"),
    (architectures, "kernels.py"),
    (architectures, "layers.py"),
    (bench, "plan/seeds.py"),
    (bench, "train/augment.py"),
    (bench, "train/data.py"),
    (bench, "train/loop.py"),
    (bench, "train/optim.py"),
    (bench, "train/single.py"),
    (bench, "train/weights.py"),
)

# A trial alone on a CPU has no part in these.
_IN_STACKS = (
    (architectures, "stacked.py"),
    (bench, "train/stack.py"),
)


@cache
def code_digest(device: Device = "cpu") -> str:
    """16 hexadecimal digits of the SHA-256 of the code that trains on the device."""
    digest = hashlib.sha256()
    for package, file in (*_ALWAYS, *(_IN_STACKS if device == "cuda" else ())):
        digest.update(normalised((Path(package.__path__[0]) / file).read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:16]


def normalised(source: str) -> str:
    """Python source with its comments, docstrings and layout taken away."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
