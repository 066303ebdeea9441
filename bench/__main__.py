"""`python -m bench`, and the command `bench`. Little is imported before Ctrl-C is answered."""

import gc
import io
import os
import sys
from typing import Any, NoReturn

from bench import interrupted

# How much has to be made before Python looks for garbage in cycles, of which there is little here. Among the objects of
# torch and of a hundred thousand trials each search takes a quarter of a second, and imports alone call for several.
_RARE = (200_000, 50, 100)


def main() -> NoReturn:
    """Runs the process's own command line, and exits."""
    _open_standard_streams()
    gc.set_threshold(*_RARE)
    interrupted.listen()
    try:
        try:
            from bench import cli
        finally:
            interrupted.raise_if_lost()
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        sys.exit(130)
    except interrupted.Terminated:
        print("bench: terminated", file=sys.stderr)
        raise
    cli.main()


def _open_standard_streams() -> None:
    """Points those of input, output and errors that are closed to nowhere: else the next file that is opened, one of
    rows perhaps, would get what is printed."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(_Unheard(2, "w", closefd=False)),
        encoding=sys.stderr.encoding,
        errors="backslashreplace",
        line_buffering=True,
    )


class _Unheard(io.FileIO):
    """Errors and progress; where they can't be written, as on a full disk, what they are about goes on."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


if __name__ == "__main__":
    main()
