"""Where a function or a class is written: its syntax tree, and what its names stand for."""

import ast
import inspect
import linecache
import sys
from collections import ChainMap
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Written = Definition | ast.Lambda


def node_of(definition: Any) -> Written | None:
    """A fresh syntax tree of a function, a lambda or a class; None for one that isn't written down, as a class that
    code makes."""
    try:
        node: Any = ast.parse(_source(inspect.getsourcefile(definition) or ""))
    except (OSError, TypeError, SyntaxError):
        return None
    code = getattr(definition, "__code__", None)
    if isinstance(code, CodeType) and code.co_name == "<lambda>":
        return next((part for part in ast.walk(node) if isinstance(part, ast.Lambda) and _is_code_of(code, part)), None)
    for name in definition.__qualname__.split("."):
        if name != "<locals>":
            inside = [part for part in ast.walk(node) if isinstance(part, Definition) and part.name == name]
            # Of several definitions of one name (an overload, an alternative) the one that is there counts.
            first = getattr(code, "co_firstlineno", None)
            exact = [part for part in inside if first in {part.lineno, *(d.lineno for d in part.decorator_list)}]
            if not inside:
                return None
            node = (exact or inside)[0]
    found: Definition = node
    return found


def names_seen_by(definition: Any) -> Mapping[str, Any]:
    """What the names in a function or a class stand for: what a function closes over, then what its module holds."""
    if not isinstance(definition, FunctionType):
        return vars(sys.modules[definition.__module__])
    closed: dict[str, Any] = {}
    for name, cell in zip(definition.__code__.co_freevars, definition.__closure__ or (), strict=True):
        try:
            closed[name] = cell.cell_contents
        except ValueError:  # not bound yet
            continue
    return ChainMap(closed, definition.__globals__)


def defaults_of(definition: Any) -> list[object]:
    """The defaults of a function that code makes: what they are, its text doesn't say."""
    if not isinstance(definition, FunctionType) or not {"<locals>", "<lambda>"} & set(
        definition.__qualname__.split(".")
    ):
        return []
    return [*(definition.__defaults__ or ()), *(definition.__kwdefaults__ or {}).items()]


def bytecode_of(definition: Any) -> str:
    """What a function without a source does, as this version of Python has it; nothing for a class."""
    code = getattr(definition, "__code__", None)
    return f" {_bytecode(code)}" if isinstance(code, CodeType) else ""


def _bytecode(code: CodeType) -> str:
    constants = [_bytecode(part) if isinstance(part, CodeType) else repr(part) for part in code.co_consts]
    return f"{code.co_code.hex()} {constants} {code.co_names}"


def _is_code_of(code: CodeType, node: ast.Lambda) -> bool:
    """Whether a lambda's code was compiled from this node: some instruction of it spans the whole body."""
    body = node.body
    return (body.lineno, body.end_lineno, body.col_offset, body.end_col_offset) in set(code.co_positions())


@cache
def _source(file: str) -> str:
    path = Path(file)
    # A notebook's cells are in no file, but known.
    return path.read_text(encoding="utf-8") if path.exists() else "".join(linecache.getlines(file))
