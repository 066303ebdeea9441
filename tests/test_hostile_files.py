"""Studies, baselines and files of runs that somebody damaged at random: no traceback, and no number that isn't there.

Some hundred of each are tried by default; `pytest -m slow tests/test_hostile_files.py` tries hundreds more.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from bench.check.baseline import read_baseline
from bench.check.exact import compare_networks
from bench.check.verdict import Verdict
from bench.errors import BenchError
from bench.record.schema import ExactRow, QualityRow
from bench.session.recorded import read_run, use_rates
from tests.studies import GOOD, bench, untouched, write
from tests.test_hostile import NUMBERS, WORDS, damaged, damages, require_one_line, slowly, tried

RESULTS = Path(__file__).parent.parent / "results"
PIECES = re.findall(r"\w+|[^\w\s]|\n *| +", GOOD)
PYTHON = st.sampled_from(
    ["None", "-1", "[]", "{}", "'x'", "(", ")", ":", ",", "=", "*", "\n", "    ", "return", "lambda: 0", "nan", "1e400",
     "\x00", "\t", "\\", '"""', "#", "@", "del", "raise", "\N{GREEK SMALL LETTER ALPHA}", "0", "10**30", "tiny"]
)  # fmt: skip


@slowly(80, 600)
def test_damaged_studies(tmp_path: Path, examples: int) -> None:
    """A few words of the file are gone, doubled or others."""
    damage = st.tuples(
        st.integers(0, len(PIECES) - 1), PYTHON | st.sampled_from(PIECES) | st.just(""), st.integers(0, 2)
    )

    def holds(damages_: list[tuple[int, str, int]]) -> None:
        pieces = list(PIECES)
        for place, instead, times in damages_:
            pieces[place] = instead if times < 2 else pieces[place] + instead
        ran = bench("list", write(tmp_path, "".join(pieces)))
        assert ran.code in {0, 2}, ran
        assert len(ran.lines) == (1 if ran.code else 0), ran
        assert "Traceback" not in ran.err

    tried(examples, st.lists(damage, min_size=1, max_size=3), holds)


@slowly(60, 400)
def test_damaged_baselines(tmp_path: Path, examples: int) -> None:
    """One that is not the good one is not the networks' either."""
    good = read_baseline(RESULTS, ExactRow)
    shutil.copytree(RESULTS / "baseline", tmp_path / "baseline")

    def holds(damage: tuple[str, int, int, str | bytes]) -> None:
        name, line, field, instead = damage
        whole = (RESULTS / "baseline" / name).read_bytes()
        (tmp_path / "baseline" / name).write_bytes(damaged(whole, line, field, instead))
        try:
            rows = read_baseline(tmp_path, ExactRow)
            read_baseline(tmp_path, QualityRow)
        except BenchError as error:
            require_one_line(error)
        else:
            assert rows == good or any(row.verdict is not Verdict.PASS for row in compare_networks(good, rows))
        finally:
            (tmp_path / "baseline" / name).write_bytes(whole)

    tried(examples, damages([path.name for path in (RESULTS / "baseline").glob("*.csv")]), holds)


@slowly(60, 400)
def test_damaged_files_of_runs(tmp_path: Path, examples: int) -> None:
    options = (
        "--models model3 --design presets --seeds 1 --epochs 1 --dataset digits --workers 0 --no-report --no-timing"
    )
    assert bench("run", *options.split(), "--batch-size", 512, "--results", tmp_path).code == 0
    [path] = (tmp_path / "digits" / "runs").iterdir()
    good = path.read_text()
    said = json.loads(good)
    values: st.SearchStrategy[Any] = (
        NUMBERS | WORDS | st.sampled_from([None, [], {}, True, -1, 1e30, [[]], [None], "x" * 3000])
    )

    def holds(damage: tuple[list[str], Any, int]) -> None:
        keys, value, cut = damage
        text = good[:cut] if value is None else json.dumps(replaced(said, keys, value))
        path.write_text(text)
        try:
            with untouched():
                run = read_run(path)
                run.trials()
                use_rates(run)
        except BenchError as error:
            require_one_line(error)

    keys = st.sampled_from(list(paths_of(said)))
    tried(examples, st.tuples(keys, values, st.integers(0, len(good))), holds)


def paths_of(said: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where there is something in what was read of JSON."""
    parts = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()
    below = [place for key, part in parts for place in paths_of(part, (*above, key))]
    return [above, *below] if above else below


def replaced(said: Any, keys: Any, value: Any) -> Any:
    """The same with something else at one place."""
    if not keys:
        return value
    changed = said.copy()
    changed[keys[0]] = replaced(said[keys[0]], keys[1:], value)
    return changed
