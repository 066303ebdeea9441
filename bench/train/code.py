"""A digest of what functions and classes do: their code and that of everything of ours that they call.

Names of locals, comments, docstrings, annotations, layout, texts of errors and of log lines, and the file that
something stands in don't count. What comes from elsewhere (torch, numpy, the standard library) counts by its name.
"""

import ast
import builtins
import functools
import hashlib
import importlib
import inspect
import sys
import sysconfig
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from bench.train.written import Definition, Written, bytecode_of, defaults_of, names_seen_by, node_of

_OURS = ("architectures", "bench")
_SAYS_ONLY = ("print", "_log", "logging", "warnings")


def digest_of(*roots: object, apart: Collection[object] = ()) -> str:
    """16 hexadecimal digits of what `roots`, functions and classes, do, without what stands in `apart`, which counts by
    its name. Raises ValueError for a root without Python source."""
    walk = Walk(apart)
    for root in roots:
        if not walk.reach(root):
            raise ValueError(f"{root!r} has no Python source to read")
    walk.finish()
    return hashlib.sha256("\n".join(walk.texts).encode()).hexdigest()[:16]


class Walk:
    """From definition to definition; each gets a number when it is first met, which stands for its name."""

    def __init__(self, apart: Collection[object]) -> None:
        self.texts: list[str] = []
        self._apart = {id(_plain(one)) for one in apart}
        self._numbers: dict[int, int] = {}
        self._open: deque[Any] = deque()

    def finish(self) -> None:
        """Walks through the definitions that were reached, and through what these reach."""
        while self._open:
            definition = self._open.popleft()
            node = node_of(definition)
            if node is None:
                self.texts.append(f"{definition.__qualname__}{bytecode_of(definition)}")
                continue
            self.texts.append(_serialised(_Normaliser(self, names_seen_by(definition), node).visit(node)))
            self.texts += [self.reach(value) or _name_of(value) for value in defaults_of(definition)]

    def reach(self, found: object) -> str | None:
        """What stands for `found` where it is used, None for what isn't ours; a definition of ours is walked later."""
        plain = _plain(found)
        if id(plain) in self._apart:
            return f"apart {getattr(plain, '__name__', '')}"
        if _is_definition(plain):
            if id(plain) not in self._numbers:
                self._numbers[id(plain)] = len(self._numbers)
                self._open.append(plain)
            return f"definition {self._numbers[id(plain)]}"
        return self.constant(plain)

    def constant(self, found: object) -> str | None:
        """What stands for a value that is no definition of ours; None for one that isn't looked into."""
        if found is None or isinstance(found, bool | int | float | complex | str | bytes):
            return repr(found)
        if isinstance(found, functools.partial):
            parts = (found.func, found.args, found.keywords)
            return f"partial({', '.join(self.reach(part) or _name_of(part) for part in parts)})"
        if isinstance(found, Mapping):
            pairs = (f"{self.reach(k) or _name_of(k)}: {self.reach(v) or _name_of(v)}" for k, v in found.items())
            return f"{{{', '.join(pairs)}}}"
        if isinstance(found, tuple | list):
            return f"[{', '.join(self.reach(part) or _name_of(part) for part in found)}]"
        if isinstance(found, set | frozenset):
            return f"{{{', '.join(sorted(self.reach(part) or _name_of(part) for part in found))}}}"
        return None


class _Normaliser(ast.NodeTransformer):
    """Takes away what doesn't count, gives locals numbers, and puts in the place of a global what it is."""

    def __init__(self, walk: Walk, names: Mapping[str, Any], node: Written) -> None:
        self._walk = walk
        self._names = names
        self._root: Any = node
        self._locals: dict[str, str] = {}
        for name in _bound(node):
            self._locals.setdefault(name, f"local {len(self._locals)}")
        self._imported = dict(_imported(node))

    def visit_Name(self, node: ast.Name) -> ast.AST:  # ast calls it so
        if node.id in self._imported:
            return ast.Name(self._walk.reach(self._imported[node.id]) or node.id)
        known = self._names.get(node.id, builtins)
        stands_for = None if known is builtins else self._outside(known, node.id)
        # A name that is a local here and a global there is looked after in both ways.
        return ast.Name(self._locals.get(node.id) or stands_for or node.id)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        path, value = [node.attr], node.value
        while isinstance(value, ast.Attribute):
            path.append(value.attr)
            value = value.value
        if isinstance(value, ast.Name) and value.id not in self._locals:
            found = self._names.get(value.id)
            while isinstance(found, ModuleType) and path and hasattr(found, path[-1]):
                found = getattr(found, path.pop())
            if not isinstance(found, ModuleType) and len(path) < _length(node):
                stands_for = self._outside(found, ast.unparse(node))
                if stands_for is not None:
                    return ast.Name(".".join([stands_for, *reversed(path)]))
        return self.generic_visit(node)

    def _outside(self, found: object, name: str) -> str | None:
        if isinstance(found, ModuleType):
            return found.__name__
        return self._walk.reach(found) or (None if name in self._locals else name)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(self._locals[node.arg])

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        if node.name:
            node.name = self._locals[node.name]
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self._definition(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self._definition(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._definition(node)

    def _definition(self, node: Any) -> ast.AST:
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        if node is self._root:
            node.name = ""
        else:
            node.name = self._locals.get(node.name, node.name)
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is not None:
            return self.visit(ast.Assign([node.target], node.value))  # type: ignore[no-any-return]
        # In a class it declares a field, whose order counts; in a function it says nothing.
        return ast.Expr(node.target) if isinstance(self._root, ast.ClassDef) else None

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        # What a caller can catch is the kind; what it says is for people.
        return ast.Raise(ast.Name(ast.unparse(kind)) if kind is not None else None, None)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        return self.generic_visit(ast.Assert(node.test, None))

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        called = node.value.func if isinstance(node.value, ast.Call) else None
        while isinstance(called, ast.Attribute):
            called = called.value
        if isinstance(called, ast.Name) and called.id in _SAYS_ONLY and called.id not in self._locals:
            return None
        return self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> ast.AST | None:  # noqa: ARG002
        return None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:  # noqa: ARG002
        return None


def _plain(found: object) -> Any:
    """What was written: without functools' and numba's wrappers."""
    while True:
        if isinstance(found, functools.cached_property | property | staticmethod | classmethod):
            found = getattr(found, "func", None) or getattr(found, "fget", None) or getattr(found, "__func__", None)
        elif hasattr(found, "py_func"):
            found = found.py_func
        elif hasattr(found, "__wrapped__") and not inspect.isclass(found):
            found = found.__wrapped__
        else:
            return found


def _is_definition(found: object) -> bool:
    return isinstance(found, FunctionType | type) and is_ours(found.__module__)


def is_ours(module: str) -> bool:
    """Whether a module is the project's or a user's: neither Python's nor installed beside it."""
    if module.partition(".")[0] in _OURS:
        return True
    if module == "__main__" and not hasattr(sys.modules[module], "__file__"):  # a notebook, a prompt
        return True
    file = Path(getattr(sys.modules.get(module), "__file__", None) or sysconfig.get_path("stdlib"))
    installed = {"site-packages", "dist-packages"} & set(file.parts)
    return not installed and not any(file.is_relative_to(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))


def _name_of(found: object) -> str:
    return str(getattr(found, "__name__", type(found).__name__))


def _length(node: ast.Attribute) -> int:
    length: int = 1
    value = node.value
    while isinstance(value, ast.Attribute):
        length, value = length + 1, value.value
    return length


def _bound(node: Written) -> Iterator[str]:
    """The names that a function binds, itself and in what it defines, in the order of the text. Of a class those that
    its methods bind: attributes and methods are part of what it does."""
    for part in _in_order(node):
        if isinstance(part, ast.arg):
            yield part.arg
        elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            if not (isinstance(node, ast.ClassDef) and _is_field(node, part)):
                yield part.id
        elif isinstance(part, Definition) and part is not node and not _is_method(node, part):
            yield part.name
        elif isinstance(part, ast.ExceptHandler):
            yield from filter(None, [part.name])


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _in_order(child)


def _is_field(node: ast.ClassDef, name: ast.Name) -> bool:
    targets = [
        target
        for statement in node.body
        for target in (
            statement.targets
            if isinstance(statement, ast.Assign)
            else [statement.target]
            if isinstance(statement, ast.AnnAssign)
            else []
        )
    ]
    return any(name is target for target in targets)


def _is_method(node: Written, part: Definition) -> bool:
    return isinstance(node, ast.ClassDef) and any(part is statement for statement in node.body)


def _imported(node: Written) -> Iterator[tuple[str, object]]:
    """What a function imports by name."""
    for part in ast.walk(node):
        if isinstance(part, ast.ImportFrom) and part.module and not part.level:
            module = importlib.import_module(part.module)
            for alias in part.names:
                yield alias.asname or alias.name, getattr(module, alias.name, None)
        elif isinstance(part, ast.Import):
            for alias in part.names:
                if alias.asname:
                    yield alias.asname, importlib.import_module(alias.name)


def _serialised(node: object) -> str:
    """A syntax tree as text that is the same in every version of Python."""
    if isinstance(node, ast.AST):
        fields = (
            f"{name}={_serialised(value)}"
            for name, value in sorted(ast.iter_fields(node))
            if value not in (None, []) and name not in {"ctx", "kind", "type_comment", "type_params"}
        )
        return f"{type(node).__name__}({' '.join(fields)})"
    if isinstance(node, Sequence) and not isinstance(node, str | bytes):
        return f"[{' '.join(map(_serialised, node))}]"
    return repr(node)
