"""A digest of the whole engine: all code that trains, kernels included, blind to comments, docstrings and layout.

It says what computed a row or took a sample of speed. What a trial's key holds of code is in `bench.train.identity`.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

import architectures
import bench


@cache
def code_digest() -> str:
    """16 hexadecimal digits of the SHA-256 of the engine's code."""
    digest = hashlib.sha256()
    for package, folder in ((architectures, "."), (bench, "train")):
        root = Path(package.__path__[0]) / folder
        for file in sorted(root.rglob("*.py")):
            digest.update(normalised(file.read_text(encoding="utf-8")).encode())
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
