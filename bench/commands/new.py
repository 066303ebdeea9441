"""`bench new`: a study's file to start from."""

from pathlib import Path
from typing import Annotated

import typer


def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write, as my_study.py.")],
) -> None:
    """Write a study's file with comments to start from; it runs as it is, on images that come with the harness."""
    from bench.studies.starting import write_template

    write_template(file)
    print(f"{file} is written. Next: `bench try {file}`, then `bench run {file}`, which takes a minute or two.")
