"""The benchmark of large stores works; what it finds is for people to judge."""

from pathlib import Path

import pytest

from tests.perf.rows import DATASET, write_many_rows
from tests.perf.scale import main


@pytest.mark.slow
def test_it_prints_what_every_stage_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--trials", "96", "--cells", "48", "--images", "100", "--folder", str(tmp_path)])
    printed = capsys.readouterr().out
    for stage in ("bench status", "bench run", "bench report", "read epochs", "gather", "analyse", "tables", "charts"):
        assert f"\n{stage} " in printed
    assert (tmp_path / "reports" / DATASET / "index.html").exists()


def test_it_never_trains(tmp_path: Path) -> None:
    write_many_rows(tmp_path / "results" / DATASET, cells=2, seeds=1, images=100)
    with pytest.raises(RuntimeError, match="only 2 of 72 trials are done"):
        main(["--trials", "48", "--cells", "48", "--folder", str(tmp_path)])
