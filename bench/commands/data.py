"""`bench data`: which data sets there are, and fetching one."""

from pathlib import Path
from typing import Annotated

import typer

from bench.commands.options import DataDir

data = typer.Typer(no_args_is_help=True, help="List data sets, fetch their files.")


@data.command("list")
def list_datasets(data_dir: DataDir = Path("data")) -> None:
    """List the data sets and whether their files are there."""
    from tabulate import tabulate

    from bench.studies.data import DATASETS

    rows = []
    for dataset in DATASETS.values():
        there = "embedded" if not dataset.files(data_dir) else "yes" if dataset.present(data_dir) else "no"
        rows.append((dataset.name, dataset.title, there))
    print(tabulate(rows, headers=("data set", "what it is", f"in {data_dir}")))


@data.command()
def fetch(
    name: Annotated[str, typer.Argument(help="One that `bench data list` shows.")],
    data_dir: DataDir = Path("data"),
) -> None:
    """Download a data set and verify its checksums. The only command that uses the network."""
    from bench.studies.data import fetch_dataset

    dataset = fetch_dataset(name, data_dir)
    print(f"{dataset.name}: {len(dataset.train):,} training and {len(dataset.held_out):,} test images in {data_dir}")
