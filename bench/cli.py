"""The command line: `python -m bench COMMAND`. Torch is imported only inside the commands that need it.

Exit codes: 0 done; 1 something outside the program went wrong or a trial failed; 2 the command line makes no sense;
3 `bench check` found a regression; 4 `bench check` decided nothing or could not measure something; 130 interrupted
with Ctrl-C; 143 ended with SIGTERM.
"""

import gc
import io
import logging
import os
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from bench.commands.check import check
from bench.commands.compare import compare
from bench.commands.data import data
from bench.commands.list import list_names
from bench.commands.new import new
from bench.commands.readme import readme
from bench.commands.report import report
from bench.commands.rerun import rerun
from bench.commands.rows import rows
from bench.commands.run import run
from bench.commands.search import search
from bench.commands.select import select
from bench.commands.show import show
from bench.commands.speed import speed
from bench.commands.status import status
from bench.commands.train import train
from bench.commands.try_study import try_study
from bench.errors import BenchError, InterruptedRunError, printable
from bench.interrupted import Terminated, raise_if_lost

_log = logging.getLogger(__name__)

_LONGEST_NAME = 100

app = typer.Typer(
    name="bench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Which technique really helps small image classifiers, by how much, how surely and at what cost.",
    epilog="Exit codes: 0 done; 1 a trial failed or something outside the program went wrong; "
    "2 the command line makes no sense; 3 `bench check` found a regression; 4 `bench check` decided nothing or could "
    "not measure something; 130 interrupted; 143 terminated.",
)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show where in the program an error arose.")] = False,
) -> None:
    """What stands before the command's name."""
    logging.getLogger("bench").setLevel(logging.DEBUG if debug else logging.WARNING)


app.command()(new)
app.command("try")(try_study)
app.command()(run)
app.command()(rerun)
app.command()(report)
app.command()(compare)
app.command()(rows)
app.command()(readme)
app.command()(train)
app.command()(show)
app.command("list")(list_names)
app.command()(status)
app.command()(select)
app.command()(search)
app.command()(speed)
app.add_typer(check, name="check")
app.add_typer(data, name="data")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs a command line, the process's own by default, and exits."""
    logging.basicConfig(format="bench: %(levelname)s: %(message)s")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path may hold what is no text
    code = run_command_line(sys.argv[1:] if arguments is None else arguments)
    gc.freeze()  # among torch's objects the interpreter's last searches for garbage take a second
    sys.exit(_flushed(code))


def run_command_line(arguments: Sequence[str]) -> int:
    """Runs a command line and returns its exit code. What a user did wrong is said in one line."""
    try:
        try:
            code = app(args=list(arguments), prog_name="bench", standalone_mode=False)
        except InterruptedRunError:
            raise
        except BaseException:  # what fails after a signal, as a module does whose imports it cut short, fails of it
            raise_if_lost()
            raise
        raise_if_lost()
    except BenchError as error:
        _log.debug("it arose here", exc_info=error)
        return _fail(str(error), error.exit_code)
    except TyperException as error:
        return _fail(error.format_message(), error.exit_code)
    except OSError as error:
        _log.debug("it arose here", exc_info=error)
        read_enough = isinstance(error, BrokenPipeError)  # whoever reads what is printed
        return _fail("" if read_enough else _words(error), 1)
    except Terminated:
        return _fail("terminated", 143)
    except KeyboardInterrupt:
        code = 130
    if code == 130:  # typer makes it of a KeyboardInterrupt
        return _fail("interrupted", 130)
    return code if isinstance(code, int) else 0


def _flushed(code: int) -> int:
    """The exit code when what was printed has arrived, or hasn't."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more
        if code == 0 and not isinstance(error, BrokenPipeError):
            _fail(f"what was printed can't be written: {error.strerror}", 1)
        return code or 1
    return code


def _words(error: OSError) -> str:
    """A failure of the system that nothing nearer to it expected, with the file where there is one."""
    file = str(error.filename or "")
    file = file if len(file) <= _LONGEST_NAME else f"{file[:_LONGEST_NAME]}..."
    return ": ".join(filter(None, (file, error.strerror or str(error))))


def _fail(message: str, code: int) -> int:
    if message:
        print(f"bench: {printable(message)}", file=sys.stderr)
    return code
