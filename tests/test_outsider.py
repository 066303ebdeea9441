"""The README's figures, computed once more from the rows by someone who doesn't know this package: with pandas and
scipy, from the CSV files, by what the tables' captions say. Nothing of `bench` is imported here.

Every number that stands between the README's markers is taken from its text and compared in the digits that are shown.
"""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

ROOT = Path(__file__).parents[1]
ROWS = ROOT / "results" / "mnist"
LATER = {
    "residual": "off",
    "attention": "off",
    "factor_layers": "none",
}  # columns of some rows, with what the others have
CELL = ["architecture", "batch_norm", "gap", "dropout", "augmentation", "scheduler", *LATER]
PRESETS = {
    "model1": ("off", "off", 0.0, "basic", "step", *LATER.values()),
    "model2": ("on", "on", 0.1, "basic", "step", *LATER.values()),
    "model3": ("on", "on", 0.0, "advanced", "onecycle", *LATER.values()),
    "model4": ("on", "on", 0.0, "advanced", "onecycle", "on", "se", "none"),
}
PUBLISHED = {"model1": 98.89, "model2": 99.18, "model3": 99.46}
MARGIN = 0.05

# A technique as the effects table names it: its column, its level, and the level without it.
TECHNIQUES = {
    "Batch norm": ("batch_norm", "on", "off"),
    "Global average pooling": ("gap", "on", "off"),
    "Dropout 0.1": ("dropout", 0.1, 0.0),
    "Basic augmentation": ("augmentation", "basic", "none"),
    "Advanced augmentation": ("augmentation", "advanced", "none"),
    "Advanced augmentation instead of basic augmentation": ("augmentation", "advanced", "basic"),
    "The one-cycle schedule": ("scheduler", "onecycle", "step"),
    "The cosine schedule": ("scheduler", "cosine", "step"),
    "The one-cycle schedule instead of the cosine schedule": ("scheduler", "onecycle", "cosine"),
    "A residual connection": ("residual", "on", "off"),
    "Squeeze-and-excitation": ("attention", "se", "off"),
    "Efficient channel attention": ("attention", "eca", "off"),
    "Efficient channel attention instead of squeeze-and-excitation": ("attention", "eca", "se"),
}
Values = Mapping[int, float]
Cells = dict[tuple[object, ...], dict[int, float]]
Effects = list[tuple[dict[str, str], tuple[Values, Values]]]


def block(name: str, file: str = "README.md") -> str:
    """What stands between a file's markers of that name, with hyphens for minus signs."""
    text = (ROOT / file).read_text(encoding="utf-8").replace("\N{MINUS SIGN}", "-")
    [found] = re.findall(rf"<!-- bench: mnist {re.escape(name)} -->\n(.*?)<!-- bench: end -->", text, re.DOTALL)
    return str(found)


def table(name: str) -> list[dict[str, str]]:
    """The rows of a block's table, by column, as they are written."""
    lines = [line for line in block(name).splitlines() if line.startswith("|")]
    header, _, *rows = [[field.strip() for field in line.strip("|").split("|")] for line in lines]
    return [dict(zip(header, row, strict=True)) for row in rows]


def numbers(text: str) -> list[float]:
    """The numbers in a text, with their signs and the commas between thousands."""
    return [float(n.replace(",", "")) for n in re.findall(r"[+-]?\d{1,3}(?:,\d{3})+|[+-]?\d+\.?\d*", text)]


def same(said: str | float, computed: float, digits: int) -> None:
    """The number that is said is the computed one as far as it is written."""
    found = numbers(said)[0] if isinstance(said, str) else said
    assert abs(found - computed) <= 0.5 * 10**-digits + 1e-9, (said, computed)


def all_same(said: Sequence[str | float], computed: Sequence[float], digits: int) -> None:
    """So is each of several numbers."""
    for one, its in zip(said, computed, strict=True):
        same(one, its, digits)


def same_quality(row: Mapping[str, str], rows: pd.DataFrame) -> None:
    """What a table says beside accuracies are the means of the rows."""
    computed = rows[["loss", "brier", "calibration_error"]].mean()
    all_same([row["loss"], row["Brier score"]], computed.tolist()[:2], 4)
    same(row["calibration error"], 100 * float(computed["calibration_error"]), 2)


@pytest.fixture(scope="module")
def trials() -> pd.DataFrame:
    """The newest row of each cell, seed, precision and rate; accuracies in percent."""
    rows = pd.read_csv(ROWS / "trials.csv")
    rows = rows[(rows["status"] == "done") & (rows["val"] == 0)]
    rows = rows.assign(**{name: rows.get(name, pd.Series(off, rows.index)).fillna(off) for name, off in LATER.items()})
    rows = rows.sort_values("started_at", kind="stable")
    rows = rows.drop_duplicates([*CELL, "seed", "precision", "lr"], keep="last")
    return rows.assign(accuracy=100 * rows["test_accuracy"])


@pytest.fixture(scope="module")
def at_rates(trials: pd.DataFrame) -> dict[tuple[str, float], Cells]:
    """By precision and learning rate the accuracies of each cell by seed."""
    found: dict[tuple[str, float], Cells] = {}
    for (precision, _, *cell), rows in trials.sort_values("seed").groupby(["precision", "lr", *CELL]):
        values = dict(zip(rows["seed"], rows["accuracy"], strict=True))
        found.setdefault((str(precision), rows["lr"].iloc[0]), {})[tuple(cell)] = values
    return found


@pytest.fixture(scope="module")
def rates(trials: pd.DataFrame) -> dict[str, dict[tuple[object, ...], float]]:
    """By precision each cell's own rate, which its newest row names; where none does, that of most rows."""
    found: dict[str, dict[tuple[object, ...], float]] = {}
    for (precision, *cell), rows in trials.groupby(["precision", *CELL]):
        said = rows["selected_lr"].dropna().tolist() or [rows["lr"].mode().max()]
        found.setdefault(str(precision), {})[tuple(cell)] = said[-1]
    return found


@pytest.fixture(scope="module")
def cells(
    at_rates: dict[tuple[str, float], Cells], rates: dict[str, dict[tuple[object, ...], float]]
) -> dict[str, Cells]:
    """By precision the accuracies of each cell by seed, at its own rate."""
    return {
        precision: {cell: at_rates[precision, lr].get(cell, {}) for cell, lr in own.items()}
        for precision, own in rates.items()
    }


@pytest.fixture(scope="module")
def precision(cells: dict[str, Cells]) -> str:
    """That of the report: of which there are most trials, where of a cell five count at most."""
    return max(cells, key=lambda name: sum(min(len(seeds), 5) for seeds in cells[name].values()))


def preset(model: str) -> tuple[object, ...]:
    return (model, *PRESETS[model])


def with_level(cell: tuple[object, ...], factor: str, level: object) -> tuple[object, ...]:
    return tuple(level if name == factor else old for name, old in zip(CELL, cell, strict=True))


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """A mean with its 95 % t interval."""
    mean = float(np.mean(values))
    half = float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))
    return mean, mean - half, mean + half


def combined(weighted: Sequence[tuple[float, Values]]) -> tuple[float, float, float]:
    """A weighted sum of cells' means, of each over all its seeds: the sum, its standard error, degrees of freedom.

    Seeds that were trained in the same cells are a sample of their own, in which each adds an independent share to the
    sum; the samples' variances add up. A seed that is alone in its cells varies as all that were trained in these, and
    more, do. Degrees of freedom are Satterthwaite's, never more than they would be at equal spreads.
    """
    frame = pd.DataFrame({number: pd.Series(dict(cell)) for number, (_, cell) in enumerate(weighted)}).sort_index()
    share = np.array([weight for weight, _ in weighted]) / frame.notna().sum().to_numpy()
    variances, equal, freedoms = [], [], []
    for trained_in, own in frame.groupby([frame[column].notna() for column in frame]):
        inside: NDArray[np.bool_] = np.atleast_1d(np.array(trained_in))
        telling = own if len(own) > 1 else frame[frame.loc[:, inside].notna().all(axis=1)]
        variances.append(len(own) * float((telling.loc[:, inside] @ share[inside]).var(ddof=1)))
        equal.append(len(own) * float((share[inside] ** 2).sum()))
        freedoms.append(len(telling) - 1)
    free = [sum(v) ** 2 / sum(x**2 / f for x, f in zip(v, freedoms, strict=True)) for v in (variances, equal)]
    return float((frame.sum() * share).sum()), math.sqrt(sum(variances)), min(free)


def interval(weighted: Sequence[tuple[float, Values]]) -> tuple[float, float, float]:
    """The weighted sum with its 95 % t interval."""
    mean, error, freedom = combined(weighted)
    half = error * float(stats.t.ppf(0.975, freedom))
    return mean, mean - half, mean + half


@pytest.fixture(scope="module")
def effects(
    precision: str, at_rates: dict[tuple[str, float], Cells], rates: dict[str, dict[tuple[object, ...], float]]
) -> Effects:
    """Those of the report."""
    return effects_in("effects", precision, at_rates, rates)


@pytest.fixture(scope="module")
def of_model4(at_rates: dict[tuple[str, float], Cells], rates: dict[str, dict[tuple[object, ...], float]]) -> Effects:
    """Those of shortcuts and attention."""
    return effects_in("precision=fp32 architecture=model4 effects", "fp32", at_rates, rates)


def effects_in(
    name: str,
    precision: str,
    at_rates: dict[tuple[str, float], Cells],
    rates: dict[str, dict[tuple[object, ...], float]],
) -> Effects:
    """A table's effects, each with the accuracies with and without the technique: at the cells' own rates, or where the
    row says so at the same."""
    found: Effects = []
    for row in table(name):
        factor, level, without = TECHNIQUES[row["technique"].split(" (")[0]]
        own = preset(row["model"])
        both = with_level(own, factor, level), with_level(own, factor, without)
        assert own in both
        lrs = [rates[precision][cell] for cell in both]
        if match := re.search(r"\(at its rate (\S+), against (\S+)\)", row["technique"]):
            assert [float(lr) for lr in match.groups()] == lrs
        elif match := re.search(r"\(at the same rate (\S+)\)", row["technique"]):
            lrs = [float(match[1])] * 2
        else:
            assert lrs[0] == lrs[1]
        treated, baseline = (at_rates[precision, lr][cell] for lr, cell in zip(lrs, both, strict=True))
        alike = treated.keys() == baseline.keys()
        assert row["n"] == (str(len(treated)) if alike else f"{len(treated)}/{len(baseline)}")
        found.append((row, (treated, baseline)))
    return found


def difference(pair: tuple[Values, Values]) -> tuple[float, float, float]:
    return combined([(1, pair[0]), (-1, pair[1])])


def test_effects_with_their_intervals(effects: Effects, of_model4: Effects) -> None:
    assert len(effects) >= 16
    assert len(of_model4) >= 3
    for row, pair in effects + of_model4:
        mean, error, freedom = difference(pair)
        half = error * stats.t.ppf(0.975, freedom)
        same(row["effect"], mean, 2)
        low, high = numbers(row["95 % interval"])
        same(low, mean - half, 2)
        same(high, mean + half, 2)


def test_neither_shortcuts_nor_attention_are_shown_to_pay(of_model4: Effects) -> None:
    """As the README says at its beginning."""
    assert "neither is shown to pay" in (ROOT / "README.md").read_text("utf-8")
    assert all(row["verdict"] != "helps" for row, _ in of_model4)


@pytest.mark.parametrize("name", ["effects", "of_model4"])
def test_verdicts_hold_for_the_table_together(name: str, request: pytest.FixtureRequest) -> None:
    """With Holm's adjustment from statsmodels: of no difference for helps and hurts, of the margin for equivalent."""
    effects: Effects = request.getfixturevalue(name)
    found = [difference(pair) for _, pair in effects]
    alone = [2 * stats.t.sf(abs(mean) / error, freedom) for mean, error, freedom in found]
    sure, *_ = multipletests(alone, alpha=0.05, method="holm")
    beyond = [stats.t.sf((MARGIN - abs(mean)) / error, freedom) for mean, error, freedom in found]
    small, *_ = multipletests(beyond, alpha=0.05, method="holm")
    for (row, _), (mean, error, freedom), p, is_sure, is_small in zip(effects, found, alone, sure, small, strict=True):
        within = abs(mean) + error * stats.t.ppf(0.975, freedom) <= MARGIN
        expected = "tentative" if p <= 0.05 else "inconclusive"
        if is_sure:
            expected = "helps" if mean > 0 else "hurts"
        if within and is_small:
            expected = "equivalent"
        assert row["verdict"] == expected, row


IN_A_LOG = {
    "hurts": "hurts",
    "equivalent": "changes too little to matter",
    "tentative": "stands out alone and not among so many",
    "inconclusive": "is not settled",
}


def test_the_log_has_every_effect_that_is_not_shown_to_help(effects: Effects, trials: pd.DataFrame) -> None:
    lines = {}
    for line in block("log", "reports/mnist/LOG.md").splitlines():
        found = re.fullmatch(
            r"- (\S+), (\w+): (.+?) (hurts|changes .+ matter|stands .+ many|is not settled), "
            r"(\S+) points \((\S+) to (\S+)\), (\d+) seeds with it and (\d+) without\.",
            line,
        )
        assert found, line
        day, model, technique, *told = found.groups()
        lines[model, technique.lower()] = (day, *told)
    assert [day for day, *_ in lines.values()] == sorted(day for day, *_ in lines.values())
    wanting = [(row, pair) for row, pair in effects if row["verdict"] != "helps"]
    assert len(wanting) == len(lines)
    for row, pair in wanting:
        day, words, mean, low, high, n_with, n_without = lines[row["model"], row["technique"].lower()]
        assert words == IN_A_LOG[row["verdict"]]
        all_same((mean, low, high), interval([(1, pair[0]), (-1, pair[1])]), 2)
        assert [int(n_with), int(n_without)] == [len(arm) for arm in pair]
        of_model = trials[trials["architecture"] == row["model"]]
        assert day in set(of_model["started_at"].str[:10])


def test_headlines_are_the_means_over_models(effects: Effects) -> None:
    """Each is the mean of a technique's effects, every model counting alike, and its verdict holds for all of them."""
    arms: dict[str, list[tuple[Values, Values]]] = {}
    for row, pair in effects:
        technique, _, at = row["technique"].partition(" (")
        rate = " at its own rate" if at.startswith("at its rate") else " at an equal rate" if at else ""
        arms.setdefault(technique + rate, []).append(pair)
    means = {
        name: combined([(sign / len(own), arm) for pair in own for sign, arm in zip((1, -1), pair, strict=True)])
        for name, own in arms.items()
    }
    alone = [2 * stats.t.sf(abs(mean) / error, freedom) for mean, error, freedom in means.values()]
    sure = dict(zip(means, multipletests(alone, alpha=0.05, method="holm")[0], strict=True))
    lines = block("headlines").strip().splitlines()
    assert len(lines) == 4
    for line in lines:
        name = max((name for name in means if line.startswith(f"- {name}")), key=len)
        mean, error, freedom = means[name]
        half = error * float(stats.t.ppf(0.975, freedom))
        said, *ends = numbers(line.partition(": ")[2].replace("model", ""))
        same(said, mean, 2)
        assert ("on average over" in line) == (len(arms[name]) > 1)
        assert (" helps: " in line) == (sure[name] and mean > 0)
        assert (" hurts: " in line) == (sure[name] and mean < 0)
        apart = abs(mean) > half
        assert (" is not settled: " in line) == (not sure[name] and not apart)
        assert (f" may {'help' if mean > 0 else 'hurt'}: " in line) == (not sure[name] and apart)
        for end, computed in zip(ends[1:] if not apart else (), (mean - half, mean + half), strict=False):
            same(end, computed, 2)


def test_presets_and_the_steps_between_them(cells: dict[str, Cells], precision: str) -> None:
    reached = re.findall(
        r"(model\d) as published reaches ([\d.]+) % \(95 % interval ([\d.]+) to ([\d.]+), (\d+) seeds\)",
        block("presets"),
    )
    assert len(reached) == len(PUBLISHED)
    for model, *said, n in reached:
        values = list(cells[precision][preset(model)].values())
        assert int(n) == len(values)
        all_same(said, mean_interval(values), 2)
    steps = re.findall(
        r"(model\d) is ([\d.]+) points above (model\d) \(95 % interval (\S+) to (\S+), \d+ seeds\), published ([\d.]+)",
        block("presets"),
    )
    assert len(steps) == len(PUBLISHED) - 1
    for end, above, start, low, high, published in steps:
        step = interval([(1, cells[precision][preset(end)]), (-1, cells[precision][preset(start)])])
        all_same((above, low, high), step, 2)
        same(published, PUBLISHED[end] - PUBLISHED[start], 2)


def test_published_figures_against_one_more_run(cells: dict[str, Cells]) -> None:
    for row in table("targets"):
        values = np.array(list(cells[row["precision"]][preset(row["model"])].values()))
        half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) * math.sqrt(1 + 1 / len(values))
        low, high = numbers(row["one more run"])
        same(row["published"], PUBLISHED[row["model"]], 2)
        same(row["measured"], values.mean(), 2)
        same(low, values.mean() - half, 2)
        same(high, values.mean() + half, 2)
        reached = int((values >= PUBLISHED[row["model"]] - 1e-6).sum())
        assert row["reached it"] == f"{reached} of {len(values)}"
        assert int(row["n"]) == len(values)
        above = PUBLISHED[row["model"]] > values.mean() + half
        assert row["these rows"] == ("contradicted" if above else "supported" if reached else "unsettled")


def test_accuracies_and_throughputs_of_the_models(cells: dict[str, Cells], precision: str) -> None:
    timed = pd.read_csv(ROWS / "timings.csv")
    timed = timed[(timed["metric"] == "train") & (timed["precision"] == precision)]
    for row in table("architectures"):
        values = list(cells[precision][preset(row["model"])].values())
        same(row["measured"], float(np.mean(values)), 2)
        assert int(row["n"]) == len(values)
        own = timed[timed[CELL[:5]].apply(tuple, axis=1) == preset(row["model"])[:5]]
        medians = own.assign(speed=own["images"] / own["seconds"]).groupby("run")["speed"].median()
        if not row["training"]:
            assert medians.empty
            continue
        assert any(abs(numbers(row["training"])[0] - median) <= 0.5 for median in medians), (row, medians)


def test_training_progress(
    trials: pd.DataFrame, precision: str, rates: dict[str, dict[tuple[object, ...], float]]
) -> None:
    epochs = pd.read_csv(ROWS / "epochs.csv")
    for row in table("progress"):
        cell = preset(row["model"])
        own = trials[(trials["precision"] == precision) & (trials["lr"] == rates[precision][cell])]
        own = own[own[CELL].apply(tuple, axis=1) == cell]
        assert int(row["n"]) == len(own)
        curves = epochs[epochs["trial"].isin(own["trial"])]
        for column, said in row.items():
            if match := re.match(r"epoch (\d+),", column):
                at = curves[curves["epoch"] == int(match[1])]
                trained, tested, *_ = numbers(said)
                same(trained, 100 * at["train_accuracy"].mean(), 2)
                same(tested, 100 * at["test_accuracy"].mean(), 2)
        first = curves[curves["test_accuracy"] >= 0.99].groupby("trial")["epoch"].min()
        same(row["epochs to 99 %"], float(first.mean()), 1)


def test_speed_against_the_plain_loop(trials: pd.DataFrame, precision: str) -> None:
    """Of the newest run of the code that the newest trial was trained with; where there is none, of the newest."""
    rows = pd.read_csv(ROWS / "speed.csv")
    rows = rows.assign(speed=rows["images"] / rows["seconds"])
    of_code = rows[rows["code"] == trials.loc[trials["precision"] == precision, "code"].iloc[-1]]
    newest = (rows if of_code.empty else of_code).pipe(lambda fitting: fitting[fitting["run"] == fitting["run"].max()])
    arms = {"plain loop": "plain", "harness": "harness", "harness, torch's layers": "unfused"}
    for row in table("speed"):
        own = newest[newest["architecture"] == row["model"]]
        plain = own[own["arm"] == "plain"]
        best = plain.groupby("loader_workers")["speed"].median().idxmax()
        at_best = plain[plain["loader_workers"] == best].set_index("round")["speed"]
        if row["trained by"] == "plain loop":
            same(row["images/s"], at_best.median(), 0)
            continue
        of_arm = own[(own["arm"] == arms[row["trained by"]]) & (own["precision"] == row["precision"])]
        of_arm = of_arm.set_index("round")
        same(row["images/s"], of_arm["speed"].median(), 0)
        assert row["processes x threads"] == "{processes} x {threads}".format(**of_arm.iloc[0])
        if row["of peak"]:
            done = 2 * of_arm["step_macs"] * of_arm["speed"] / of_arm["peak_flops"]
            same(row["of peak"], 100 * done.median(), 0)
        logs = np.log(of_arm["speed"] / at_best).dropna()
        middle, low, high = (math.exp(x) for x in mean_interval(list(logs)))
        all_same((numbers(row["to plain fp32"])[0], *numbers(row["95 % interval"])), (middle, low, high), 1)
        assert int(row["rounds"]) == len(logs)


def test_the_cost_around_a_trial() -> None:
    rows = pd.read_csv(ROWS / "overhead.csv")
    newest = rows[rows["run"] == rows["run"].max()]
    for row in table("overhead"):
        own = newest[newest["trials"] == numbers(row["trials"])[0]]
        values = mean_interval(list(1000 * own["seconds"] / own["trials"]))
        all_same((numbers(row["ms a trial"])[0], *numbers(row["95 % interval"])), values, 1)


def test_precisions(cells: dict[str, Cells]) -> None:
    """What one precision changes: of a cell's accuracy, or of a technique's effect on it."""
    names = {name[0].lower() + name[1:]: name for name in TECHNIQUES}
    rows = table("precision")
    assert rows
    for row in rows:
        kind, _, name = row["what"].partition(" of ")
        if kind == "accuracy":
            model, *changed = name.split(" ")
            arms = [preset(model)]
            for change in changed:
                factor, text = change.split("=")
                arms = [with_level(arms[0], factor, float(text) if factor == "dropout" else text)]
        else:
            technique, _, model = name.partition(" on ")
            factor, level, without = TECHNIQUES[names[technique]]
            arms = [with_level(preset(model), factor, each) for each in (level, without)]
        weights = {"bf16": (1, -1), "fp32": (-1, 1)}
        weighted = [(w, cells[p][arm]) for p, both in weights.items() for w, arm in zip(both, arms, strict=False)]
        assert int(row["n"]) == min(len(cell) for _, cell in weighted) >= 5
        said = (numbers(row["difference"])[0], *numbers(row["95 % interval"]))
        all_same(said, interval(weighted), 2)


def of_network(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of a network of model7's that a table names so: alone it has the layers that its file says."""
    [own] = re.findall('^LAYERS = "(.+)"$', (ROOT / "architectures" / "model7.py").read_text("utf-8"), re.MULTILINE)
    _, _, layers = name.partition(" layers=")
    return rows[(rows["architecture"] == "model7") & (rows["factor_layers"] == (layers or own))]


def test_what_a_search_found_and_what_it_is_worth(trials: pd.DataFrame) -> None:
    selection = pd.read_csv(ROWS / "selection.csv")
    arms = {"search": "search-8000", "random search": "random-8000"}
    rows, reached = table("searches"), []
    assert [row[""] for row in rows] == list(arms)
    for row in rows:
        own = selection[selection["design"] == arms[row[""]]]
        whole = own[own["epochs"] == 15]
        best = whole.sort_values("val_accuracy", ascending=False, kind="stable").iloc[0]
        assert [int(numbers(row[name])[0]) for name in ("trials", "epochs")] == [len(own), own["epochs"].sum()]
        same(row["held-out accuracy"], 100 * float(best["val_accuracy"]), 2)
        met = of_network(trials, row["best network"])
        assert set(met["factor_layers"]) <= {best["factor_layers"]}
        assert int(numbers(row["parameters"])[0]) == best["parameters"] <= 8000
        fresh = met[~met["seed"].isin(own["seed"])]["accuracy"].tolist()
        assert int(row["n"]) == len(fresh)
        said = numbers(row["test accuracy"] + row["95 % interval"])
        all_same(said, mean_interval(fresh), 2)
        reached.append(dict(zip(met["seed"], met["accuracy"], strict=True)))
    above, low, high, n = numbers(block("search").partition("random search's: ")[2].replace("95 % interval", ""))[:4]
    found = interval([(1, reached[0]), (-1, reached[1])])
    all_same((above, low, high), found, 2)
    assert n == len(reached[0]) == len(reached[1])
    assert ("isn't told apart from random search's" in block("search")) == (found[1] < 0 < found[2])


def test_what_else_predicts_with_what_trainings_left(trials: pd.DataFrame) -> None:
    readouts = pd.read_csv(ROWS / "readouts.csv").drop_duplicates(["trial", "readout", "run"], keep="last")
    rows = table("precision=fp32 architecture=model7 readouts")
    assert {row["readout"] for row in rows} >= {"last", "ema"}
    for row in rows:
        met = of_network(trials[trials["precision"] == "fp32"], row["cell"])
        read = readouts[readouts["trial"].isin(met["trial"])].set_index(["trial", "run"])
        of_readout = read[read["readout"] == row["readout"]]
        own, last = (100 * of["accuracy"] for of in (of_readout, read[read["readout"] == "last"]))
        assert int(row["n"]) == len(own)
        all_same(numbers(row["accuracy"] + row["95 % interval"]), mean_interval(own.tolist()), 2)
        same_quality(row, of_readout)
        if row["readout"] != "last":
            said = numbers(row["over last"] + row["95 % interval of that"])
            all_same(said, mean_interval((own - last).tolist()), 2)


def test_what_seeds_reach_together(trials: pd.DataFrame) -> None:
    own = set(of_network(trials, "model7")["trial"])
    ensembles = pd.read_csv(ROWS / "ensembles.csv").drop_duplicates("members", keep="last")
    members = ensembles["members"].str.split(" ")
    ensembles = ensembles[members.map(own.issuperset)]
    rows = table("precision=fp32 architecture=model7 ensembles")
    assert [row["seeds"] for row in rows] == ["1", "2", "4", "8", "16"]
    for row in rows:
        groups = ensembles[ensembles["members"].str.count(" ") + 1 == int(row["seeds"])]
        assert int(row["groups"]) == len(groups)
        assert groups["members"].str.split(" ").explode().is_unique
        assert int(numbers(row["parameters"])[0]) == 7719 * int(row["seeds"])
        accuracies = (100 * groups["accuracy"]).tolist()
        same(row["accuracy"], float(np.mean(accuracies)), 2)
        said = numbers(row["95 % interval"])
        all_same(said, mean_interval(accuracies)[1:] if len(groups) > 1 else (), 2)
        same_quality(row, groups)


def test_what_techniques_do_together(cells: dict[str, Cells], precision: str) -> None:
    """Model1's layers with every combination of batch norm, pooling and dropout: main effects, and Shapley's shares of
    the way to model2, seed by seed."""
    own, factors = (
        cells[precision],
        {
            "batch norm": ("batch_norm", "off", "on"),
            "global average pooling": ("gap", "off", "on"),
            "dropout 0.1": ("dropout", 0.0, 0.1),
        },
    )
    names = list(factors)

    def cell(chosen: frozenset[str]) -> dict[int, float]:
        levels = preset("model1")
        for name, (factor, off, on) in factors.items():
            levels = with_level(levels, factor, on if name in chosen else off)
        return own[levels]

    subsets = [frozenset(c) for size in range(4) for c in itertools.combinations(names, size)]
    main = {n: {s: (1 if n in s else -1) / 4 for s in subsets} for n in names}
    shapley = {n: dict.fromkeys(subsets, 0.0) for n in names}
    orders = list(itertools.permutations(names))
    for name, order in itertools.product(names, orders):
        place = order.index(name)
        shapley[name][frozenset(order[: place + 1])] += 1 / len(orders)
        shapley[name][frozenset(order[:place])] -= 1 / len(orders)
    for chart, beginning, shares in (
        ("shapley", "From model1 to model2", shapley),
        ("interactions", "on model1", main),
    ):
        [line] = re.findall(rf"{beginning}, in points: ([^;\]]*)", block(f"chart:{chart}"))
        for name, weights in shares.items():
            mean, _, _ = interval([(weight, cell(subset)) for subset, weight in weights.items()])
            [said] = re.findall(rf"{name} ([+-]?[\d.]+)", line)
            same(said, mean, 2)
    means = {name: interval([(w, cell(s)) for s, w in weights.items()])[0] for name, weights in main.items()}
    text = block("combinations")
    found = re.findall(r"Over all combinations on model1 (?:the )?(.+?) (?:helps|hurts): ([+-][\d.]+) points", text)
    assert found
    for name, said in found:
        same(said, means[name], 2)
