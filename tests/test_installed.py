"""The package as pip installs it, in an empty folder: everything that it needs is in the wheel."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.record.store import Store
from tests.test_record import ROOT

pytestmark = pytest.mark.skipif(
    not (find_spec("pip") and find_spec("setuptools")), reason="pip and setuptools build and install the package"
)


def done(folder: Path, packages: Path, *arguments: str) -> str:
    process = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.slow
def test_an_installed_package_starts_tries_runs_and_reports_in_an_empty_folder(tmp_path: Path) -> None:
    packages, folder = tmp_path / "packages", tmp_path / "empty"
    folder.mkdir()
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    source = tmp_path / "source"  # building leaves files beside what it builds
    for name in ("architectures", "bench"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    done(folder, packages, "pip", "install", *offline, "--target", str(packages), str(source))
    done(folder, packages, "bench", "new", "first.py")
    told = done(folder, packages, "bench", "run", "first.py", "--design", "presets", "--seeds", "1", "--epochs", "1")
    [page] = folder.glob("reports/first/*/index.html")
    assert f"Report: {page.relative_to(folder)}" in told
    [trials] = folder.glob("results/first/*/trials.csv")
    assert Store(trials.parent).trials()["status"].eq("done").all()
    assert done(folder, packages, "bench", "rows", "first.py").startswith("trial,cell,is_preset,dataset,")
    assert {path.name for path in folder.iterdir()} == {"first.py", "results", "reports"}
