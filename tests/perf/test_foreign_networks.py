"""The benchmark of foreign networks works; what it finds is for people to judge."""

import re

import pytest

from tests.perf.foreign_networks import main
from tests.studies import untouched


@pytest.mark.slow
def test_it_prints_both_loops_speeds_and_their_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    with untouched():
        assert main(["--rounds", "2"]) == 0
    printed = capsys.readouterr().out
    for name in ("resnet8", "mnist_example"):
        for way in ("harness", "harness, torch's layers"):
            assert re.search(
                rf"^{name} +{way} +fp32 +\d+ x \d+ +[\d,]+ .+ times +[\d.,]+ to [\d.,]+ +2\b", printed, re.M
            )
