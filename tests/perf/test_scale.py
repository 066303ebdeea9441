"""The benchmark of large stores works; what it finds is for people to judge."""

from pathlib import Path

import pytest

from tests.perf.scale import main


def test_it_prints_what_every_stage_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--trials", "4", "--cells", "2", "--images", "100", "--folder", str(tmp_path)])
    printed = capsys.readouterr().out
    for stage in ("read epochs", "gather", "analyse", "tables", "charts", "whole report", "all"):
        assert f"\n{stage} " in printed
    assert (tmp_path / "reports" / "mnist" / "index.html").exists()
