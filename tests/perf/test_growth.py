"""The benchmark of growth works; what it finds is for people to judge."""

import pytest

from tests.perf.growth import growth, main
from tests.studies import untouched


def test_the_exponent_is_that_of_the_last_sizes() -> None:
    assert growth([1, 10, 100, 1000], [5, 1, 100, 10_000]) == pytest.approx(2)


@pytest.mark.slow
def test_it_prints_what_grows(capsys: pytest.CaptureFixture[str]) -> None:
    with untouched():
        main(["--trials", "100", "--recorded", "10", "--workers", "1", "--cells", "10"])
    printed = capsys.readouterr().out
    for what in ("planning trials", "recording trials", "starting workers", "reporting cells"):
        assert f"\n{what} " in printed
    assert "reporting cells: n to the power" in printed
