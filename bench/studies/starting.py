"""The file that a study of one's own starts from."""

from importlib.resources import files
from pathlib import Path

from bench.errors import BenchError, UsageError

# What its text calls itself.
_NAME = "my_study.py"


def write_template(file: Path) -> None:
    """Writes a study with comments, which runs as it is. Raises UsageError where the file is there already, or can't be
    one, BenchError where it can't be written."""
    if file.suffix != ".py" or not file.stem:
        raise UsageError(f"a study is a Python file like {_NAME}, not {str(file)!r}")
    if not file.stem.isprintable():
        raise UsageError(f"the name of a study's file is text on one line, not {str(file)!r}")
    if not file.parent.is_dir():
        raise UsageError(f"there is no folder {file.parent}: make it first, or write the file elsewhere")
    text = files("bench.studies").joinpath("template.py").read_text(encoding="utf-8")
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text.replace(_NAME, file.name))
    except FileExistsError:
        raise UsageError(f"{file} is there already, and stays as it is: give another name") from None
    except OSError as error:
        raise BenchError(f"{file} can't be written: {error.strerror or error}") from error
