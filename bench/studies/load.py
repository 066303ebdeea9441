"""Loads a user's study: a file, `module:NAME`, or the entry point of an installed package."""

import importlib
import importlib.util
import linecache
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from bench.errors import BenchError, UsageError, near_matches, one_line
from bench.interrupted import Terminated
from bench.plan.catalogue import Catalogue
from bench.session.modules import digest_of_files, folder_name, is_installed, lies_in
from bench.study import Study

# The name that a file's study stands under, if not said.
NAME = "STUDY"

# The group of an installed package's entry points: `flowers = "my_package.flowers:STUDY"`.
GROUP = "bench.studies"

# Study files are modules under this package's name, so that none hides a library's.
_PREFIX = "bench_study_"

_LARGEST_FILE = 10_000_000


def looks_like_study(text: str) -> bool:
    """Whether an argument names a study rather than something in one."""
    return text.endswith(".py") or ":" in text or "/" in text or text in _installed()


def load_study(text: str) -> Catalogue:
    """The study that `text` names: my_study.py, my_study.py:NAME, module:NAME or an entry point. Raises UsageError,
    with the line of the user's file where there is one."""
    return replace(_loaded(text), named=text)


def _loaded(text: str) -> Catalogue:
    place, colon, name = text.rpartition(":")
    if not colon or not name.isidentifier():
        place, name = text, NAME
    if place.endswith(".py"):
        return _from_file(Path(place), name)
    installed = _installed()
    if place in installed:
        with _one_line(place):
            study = installed[place].load()
        return _catalogue(study, place, place, [importlib.import_module(installed[place].module)])
    if colon:
        with _one_line(place):
            module = importlib.import_module(place)
        return _found([module], name, place, place.rpartition(".")[2])
    raise UsageError(
        f"no study is called {text!r}: a study is a file like my_study.py, module:NAME, or an installed one"
        f"{f' ({near_matches(text, installed)})' if installed else ''}; `bench new my_study.py` writes one"
    )


def _from_file(path: Path, name: str) -> Catalogue:
    source = _read(path)
    where = path.resolve()
    before = set(sys.modules)
    module = _module(where, source)
    # As Python does for a script: what lies beside the file can be imported.
    sys.path.insert(0, str(where.parent))
    sys.modules[module.__name__] = module
    with _one_line(path.name, where):
        exec(compile(source, str(where), "exec"), module.__dict__)  # noqa: S102  # it is the user's own file
    helpers = [one for key, one in list(sys.modules.items()) if key not in before and lies_in(one, where.parent)]
    modules = [module, *(one for one in helpers if one is not module)]
    return _found(modules, name, path.name, folder_name(where.stem))


def _read(path: Path) -> str:
    if not path.is_file():
        kind = "is no file" if path.exists() else "is not there"
        raise UsageError(f"the study {path} {kind}: `bench new {path}` writes one to start from")
    try:
        data = path.read_bytes()
        if len(data) > _LARGEST_FILE:
            raise UsageError(f"the study {path} has {len(data):,} bytes: a study is a Python file")
        return importlib.util.decode_source(data)
    except OSError as error:
        raise UsageError(f"the study {path} can't be read: {error.strerror or error}") from None
    except (SyntaxError, UnicodeDecodeError):
        raise UsageError(f"the study {path} is no text in UTF-8: a study is a Python file") from None


def _module(where: Path, source: str) -> ModuleType:
    module = ModuleType(_PREFIX + re.sub(r"\W", "_", where.stem))
    module.__file__ = str(where)
    # What is shown and compared is what was read, also when the file is edited meanwhile.
    linecache.cache[str(where)] = (len(source), None, source.splitlines(keepends=True), str(where))
    return module


def _found(modules: Sequence[ModuleType], name: str, shown: str, called: str) -> Catalogue:
    module = modules[0]
    if not hasattr(module, name):
        studies = [key for key, value in vars(module).items() if isinstance(value, Study)]
        hint = f"it has {', '.join(studies)}: {shown}:{studies[0]}" if studies else f"{name} = Study(...) is missing"
        raise UsageError(f"{shown} has no {name}: {hint}")
    return _catalogue(getattr(module, name), shown, called, modules)


def _catalogue(study: object, shown: str, called: str, modules: Sequence[ModuleType]) -> Catalogue:
    if not isinstance(study, Study):
        raise UsageError(f"{shown}: the study is {type(study).__name__}, and should be Study(...) from bench.study")
    title = (modules[0].__doc__ or "").strip().partition("\n")[0]
    with _one_line(study.place or shown):
        digest = digest_of_files([Path(one.__file__ or "") for one in modules])
        found = study.catalogue(folder_name(called), digest, title)
    return replace(found, modules=tuple(one for one in modules if not is_installed(one)))


@contextmanager
def _one_line(shown: str, where: Path | None = None) -> Iterator[None]:
    """Whatever goes wrong within is the user's, and said in one line with the line of their file."""
    try:
        yield
    except SyntaxError as error:
        place = _place(error, shown, where) if error.lineno is None else _file(error, shown)
        raise UsageError(f"{place}: {error.msg}") from error
    except (KeyboardInterrupt, Terminated):
        raise
    except SystemExit as error:
        raise UsageError(f"{shown} ends the process when it is read (exit {error.code}): leave that out") from error
    except BaseException as error:
        text = one_line(error)
        kind = "" if isinstance(error, BenchError) else f"{type(error).__name__}: "
        raise UsageError(f"{_place(error, shown, where)}: {kind}{text}".rstrip(": ")) from error


def _file(error: SyntaxError, shown: str) -> str:
    return f"{Path(error.filename or shown).name}, line {error.lineno}"


def _place(error: BaseException, shown: str, where: Path | None) -> str:
    """The innermost line of the study's own files."""
    if where is None:
        return shown
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).parent == where.parent and not frame.filename.startswith("<")
    ]
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else shown


def _installed() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
