"""The benchmark of large stores works; what it finds is for people to judge."""

from pathlib import Path

import pytest

from tests.perf.rows import write_many_rows
from tests.perf.scale import main


def test_it_prints_what_every_stage_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_many_rows(tmp_path / "results" / "mnist", cells=2, seeds=2, images=100)
    main(["--cells", "2", "--folder", str(tmp_path)])
    printed = capsys.readouterr().out
    for stage in ("read epochs", "gather", "analyse", "tables", "charts", "bench report"):
        assert f"\n{stage} " in printed
    assert (tmp_path / "reports" / "mnist" / "index.html").exists()
