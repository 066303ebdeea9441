"""Designs, protocols, trials and seeds."""

from dataclasses import fields, replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from bench.errors import UsageError
from bench.plan.augmentation import AUGMENTATIONS, BASIC_CANDIDATES, Augmentation
from bench.plan.catalogue import Rates, Usual, catalogue, find_factors, using
from bench.plan.cells import Cell, preset_cell
from bench.plan.designs import DESIGNS
from bench.plan.factors import TAKEN, Factor, level_of
from bench.plan.keys import Parts, trial_key
from bench.plan.levels import Levels, format_level
from bench.plan.protocol import Protocol
from bench.plan.seeds import STREAMS, stream
from bench.plan.selection import augmentation_trials, first_candidates, rate_trials
from bench.plan.trials import Trial, trials
from bench.record.columns import columns
from bench.record.schema import Row
from bench.record.store import Store
from bench.report.selection import CHOSEN, TIED, augmentation_table, rate_table
from bench.study import Study
from tests.catalogues import grown, untouched

ARCHITECTURES = catalogue().architectures
FACTORS = catalogue().factors
RATES, CANDIDATE_RATES = catalogue().rates.rate, catalogue().rates.tried

ROOT = Path(__file__).parent.parent

MODELS = catalogue().models
PROTOCOL = Protocol("digits")


def key(trial: Trial, network: str = "network", training: str = "training", data: str = "data") -> str:
    return trial_key(trial, Parts(network, training, data))


def applying(model: str) -> list[Factor]:
    return [factor for factor in FACTORS if ARCHITECTURES[model].applies(factor)]


def cells_of(design: str, models: list[str], factors: list[str] | None = None) -> list[Cell]:
    varied = FACTORS if factors is None else find_factors(factors)
    return list(DESIGNS[design](models, varied))


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=lambda a: a.name)
def test_presets_use_known_levels(architecture: object) -> None:
    levels = architecture.preset  # type: ignore[attr-defined]
    for factor in FACTORS:
        assert factor.is_open or level_of(levels, factor) in factor.levels


@pytest.mark.parametrize(
    ("design", "models", "factors", "count"),
    [
        ("presets", MODELS, None, len(MODELS)),
        ("toggles", ["model1", "model2"], None, 2 * 8),
        ("toggles", ["model3", "model4"], None, 2 * 11),
        ("toggles", ["model2"], ["dropout"], 2),
        ("factorial", ["model1", "model2"], None, 2 * 2 * 2 * 2 * 3 * 3),
        ("factorial", ["model3", "model4"], None, 2 * 2 * 2 * 2 * 3 * 3 * 2 * 3),
        ("factorial", ["model1"], ["batch_norm", "gap", "dropout"], 8),
        ("factorial", ["model3"], ["augmentation", "scheduler"], 9),
        ("path", ["model1", "model2"], None, 5),
        ("path", ["model2", "model3"], None, 5),
    ],
)
def test_designs_have_so_many_distinct_cells(
    design: str, models: list[str], factors: list[str] | None, count: int
) -> None:
    cells = cells_of(design, models, factors)
    assert len(cells) == len(set(cells)) == count


def test_toggles_are_every_other_level_of_each_factor_once() -> None:
    for name in MODELS:
        preset, *flipped = cells_of("toggles", [name])
        assert preset == preset_cell(name)
        wanted = [[factor] for factor in applying(name) for _ in factor.levels[1:]]
        assert [cell.differences(preset) for cell in flipped] == wanted


def test_a_flip_takes_a_technique_away_or_adds_it() -> None:
    levels = {cell.label for cell in cells_of("toggles", ["model1", "model3"])}
    assert {"model1 augmentation=none", "model3 augmentation=none"} <= levels
    assert {"model1 scheduler=onecycle", "model3 scheduler=step"} <= levels
    assert {"model1 dropout=0.1", "model3 batch_norm=off"} <= levels


def test_a_path_changes_one_thing_at_a_time() -> None:
    cells = cells_of("path", ["model1", "model2"])
    for before, after in pairwise(cells):
        architecture_changed = before.architecture != after.architecture
        assert len(before.differences(after)) + architecture_changed == 1
    assert (cells[0], cells[-1]) == (preset_cell("model1"), preset_cell("model2"))


def test_a_path_needs_two_models() -> None:
    with pytest.raises(UsageError, match="name two"):
        cells_of("path", ["model1"])


def test_trials_are_every_cell_with_every_seed_and_repeat_none() -> None:
    cells = cells_of("toggles", MODELS)
    planned = list(trials([*cells, *cells], 5, PROTOCOL))
    assert len(planned) == len(set(planned)) == 5 * len(cells)
    assert [trial.seed for trial in planned[: len(cells)]] == [0] * len(cells)


def test_streams_are_independent_and_paired_across_cells() -> None:
    numbers = {stream(name, seed) for name in STREAMS for seed in range(100)}
    assert len(numbers) == len(STREAMS) * 100
    assert all(0 <= number < 2**63 for number in numbers)
    with pytest.raises(ValueError, match="no random stream"):
        stream("luck", 0)


def test_rate_follows_scheduler_and_batch_norm_unless_it_is_held() -> None:
    assert set(RATES) == set(CANDIDATE_RATES)
    for (scheduler, batch_norm), rate in RATES.items():
        levels = Levels(ARCHITECTURES["model1"].preset, scheduler=scheduler, batch_norm=batch_norm)
        cell = Cell("model1", levels)
        assert PROTOCOL.rate(cell) == rate
        assert Protocol("digits", lr=0.5).rate(cell) == 0.5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "--epochs is 1 to 100,000"),
        ({"batch_size": 1}, "--batch-size is at least 2"),
        ({"val": -1}, "--val is 0 or more"),
        ({"lr": 0.0}, "--lr is a number above 0"),
        ({"lr": float("nan")}, "--lr is a number above 0"),
        ({"lr": float("inf")}, "--lr is a number above 0"),
        ({"optimizer": "adam"}, "--optimizer is one of sgd, adamw"),
        ({"dataset": "mnist", "optimizer": "adamw"}, "--optimizer adamw needs --lr"),
    ],
)
def test_protocol_refuses_values_out_of_range(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Protocol(**({"dataset": "digits"} | values))  # type: ignore[arg-type]


def test_key_changes_with_everything_that_can_change_the_outcome() -> None:
    cell = preset_cell("model1")
    trial = Trial(cell, 0, PROTOCOL)
    same = Trial(cell, 0, Protocol("digits", lr=RATES["step", False]))
    assert key(trial) == key(same)
    others = [
        Trial(cell, 1, PROTOCOL),
        Trial(cell.with_level(find_factors(["augmentation"])[0], "none"), 0, PROTOCOL),
        *(
            Trial(cell, 0, replace(PROTOCOL, **change))
            for change in (
                {"epochs": 16},
                {"batch_size": 32},
                {"lr": 0.5},
                {"val": 100},
                {"precision": "bf16"},
                {"device": "cuda"},
            )
        ),
    ]
    keys = [key(trial), *map(key, others)]
    keys += [key(trial, network="other"), key(trial, training="other"), key(trial, data="other")]
    assert len(set(keys)) == len(keys)


def test_a_level_of_a_factor_that_nothing_else_speaks_for_is_part_of_the_key() -> None:
    """A factor that is off leaves the keys of before; its levels differ from it and from each other."""
    before = key(Trial(preset_cell("model1"), 0, PROTOCOL))
    smoothing = Factor("smoothing", (0.0, 0.1, 0.2), change=untouched)
    with using(grown([smoothing])):
        cells = [preset_cell("model1").with_level(smoothing, level) for level in smoothing.levels]
        off, some, more = (key(Trial(cell, 0, PROTOCOL)) for cell in cells)
    assert off == before
    assert len({off, some, more}) == 3


def test_selection_tries_every_candidate_on_held_out_images_only() -> None:
    protocol = Protocol("mnist", val=5000)
    planned = list(rate_trials(["model1", "model3"], range(2), protocol, first_candidates(protocol)))
    assert len(planned) == len(set(planned)) == 2 * 2 * sum(map(len, CANDIDATE_RATES.values()))
    with pytest.raises(UsageError, match="would choose on test images"):
        next(rate_trials(MODELS, range(1), Protocol("mnist"), first_candidates(Protocol("mnist"))))

    planned = list(augmentation_trials(MODELS, range(2), Protocol("mnist", val=5000)))
    tried = {(trial.cell.architecture, trial.cell.levels["augmentation"]) for trial in planned}
    assert tried == {(model, candidate) for model in ("model1", "model2") for candidate in BASIC_CANDIDATES}
    with pytest.raises(UsageError, match="would choose on test images"):
        next(augmentation_trials(MODELS, range(1), Protocol("mnist")))


@pytest.mark.parametrize("text", ["on", "0.2", ""])
def test_unknown_level_is_answered_with_the_levels(text: str) -> None:
    [dropout] = find_factors(["dropout"])
    assert dropout.parse("0.1") == 0.1
    with pytest.raises(UsageError, match=r"there are 0\.0, 0\.1"):
        dropout.parse(text)


@pytest.mark.parametrize(("dataset", "optimizer", "held_out"), [("mnist", "sgd", 5000), ("digits", "adamw", 200)])
def test_rates_are_those_that_the_kept_selection_rows_give(dataset: str, optimizer: str, held_out: int) -> None:
    rows = Store(ROOT / "results" / dataset, "selection.csv").trials()
    rows = rows[rows["design"] == "selection"]
    assert (rows["val"] == held_out).all()
    assert rows["test_accuracy"].isna().all()
    table, rates = rate_table(rows, classes=10), catalogue().rates_for(dataset, optimizer)
    tried = {key: tuple(sorted(group["lr"])) for key, group in table.groupby(["scheduler", "batch_norm"])}
    selected, candidates = (
        {(scheduler, format_level(on)): value for (scheduler, on), value in of.items()}
        for of in (rates.rate, rates.tried)
    )
    assert tried == candidates
    best = table[table["verdict"].isin([CHOSEN, TIED])].groupby(["scheduler", "batch_norm"])["lr"].agg(set)
    assert best.index.tolist() == sorted(selected)
    assert all(rate in best[key] for key, rate in selected.items())


def test_the_basic_augmentation_is_what_the_kept_selection_rows_give() -> None:
    table = augmentation_table(Store(ROOT / "results" / "mnist", "selection.csv").trials(), classes=10)
    assert set(table["augmentation"]) == set(BASIC_CANDIDATES)
    assert table["n"].nunique() == 1
    [first] = table.loc[table["first"], "augmentation"]
    assert AUGMENTATIONS["basic"] == BASIC_CANDIDATES[first]


def test_a_trial_is_named_by_what_its_augmentation_does(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(preset_cell("model1"), 0, Protocol("mnist"))
    before = key(trial)
    monkeypatch.setitem(AUGMENTATIONS, "advanced", Augmentation(rotation=30))
    assert key(trial) == before
    monkeypatch.setitem(AUGMENTATIONS, "basic", Augmentation(rotation=30))
    assert key(trial) != before


def test_unknown_factor_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean batch_norm"):
        find_factors(["batchnorm"])


def test_a_factor_never_takes_the_place_of_a_column() -> None:
    for row_type in get_args(Row):
        if "levels" in {field.name for field in fields(row_type)}:
            assert set(columns(row_type, ())) <= TAKEN
    assert Factor("optimizer", ("sgd", "adamw"), change=untouched).column == "factor_optimizer"


def test_a_data_set_may_have_rates_of_its_own() -> None:
    study = Study(
        ["model3"],
        data=["mnist", "digits"],
        rates={("step",): 0.1, ("cosine",): 0.2, ("onecycle",): 0.3},
        rates_by=["scheduler"],
        rates_on={"digits": {("step",): 1.0, ("cosine",): 2.0, ("onecycle",): 3.0}},
    )
    with using(study.catalogue("own")):
        cell = preset_cell("model3")
        assert Protocol("mnist").rate(cell) == Protocol("mnist").selected_rate(cell) == 0.3
        assert Protocol("digits").rate(cell) == Protocol("digits").selected_rate(cell) == 3.0
    with using(replace(study, rates_on={"digits": 0.5}).catalogue("own")):
        assert Protocol("digits").rate(cell) == 0.5
        assert set(first_candidates(Protocol("digits"))) == {("step",), ("cosine",), ("onecycle",)}


def test_a_data_set_may_have_an_optimizer_and_epochs_that_its_rates_are_for() -> None:
    adam = Rates((), {(): 0.002}, {(): (0.001, 0.002)}, optimizer="adamw", epochs=6)
    study = Study(["model3"], data=["mnist", "digits"], rates=0.1, rates_on={"digits": adam})
    known, cell = study.catalogue("own"), preset_cell("model3")
    assert known.usual_on("digits") == Usual(6, 16, "adamw")
    assert known.usual_on("digits", "sgd") == Usual(15, 16, "sgd")
    assert known.usual_on("mnist") == Usual(15, 64, "sgd")
    with using(known):
        own = Protocol("digits", optimizer="adamw")
        assert (own.rate(cell), own.selected_rate(cell)) == (0.002, 0.002)
        assert first_candidates(own) == {(): (0.001, 0.002)}
        assert Protocol("digits").rate(cell) == 0.1
        with pytest.raises(UsageError, match="--optimizer adamw needs --lr: the rates that there are are sgd's"):
            Protocol("mnist", optimizer="adamw")
    assert replace(study, epochs=9, optimizer="sgd").catalogue("own").usual_on("digits") == Usual(9, 16, "sgd")
    with using(Study(["model3"], data="mnist", rates=0.002, optimizer="adamw").catalogue("own")):
        assert Protocol("mnist", optimizer="adamw").rate(cell) == 0.002


def test_an_optimizer_without_rates_has_the_harness_s() -> None:
    study = Study(["model3"], data="mnist", optimizer="adamw")
    assert study.catalogue("own").rates.selected is False
    with using(study.catalogue("own")):
        own = Protocol("mnist", optimizer="adamw")
        assert own.rate(preset_cell("model3")) == torch.optim.AdamW([torch.zeros(1)]).defaults["lr"]
        assert set(first_candidates(own)) == set(product(("step", "cosine", "onecycle"), (False, True)))
        assert all(min(tried) < 0.001 < max(tried) for tried in first_candidates(own).values())
    with using(Study(["model3"], data="mnist").catalogue("own")):
        assert Protocol("mnist").rate(preset_cell("model3")) == 0.1


@pytest.mark.parametrize(
    ("rates_on", "said"),
    [
        ({"digit": 0.1}, "no data set is called 'digit': did you mean digits"),
        ({"digits": Rates((), {(): 0.1})}, "go by what `rates` go by"),
    ],
)
def test_rates_of_a_data_set_that_cannot_be(rates_on: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Study(["model3"], data="digits", rates={("step",): 0.1}, rates_by=["scheduler"], rates_on=rates_on).catalogue(
            "own"
        )


def test_epochs_and_batch_size_that_a_study_leaves_open_are_the_data_sets() -> None:
    assert Study(["model3"], data=["mnist", "digits"]).catalogue("own").usual_on("digits") == Usual(15, 16, "sgd")
    assert Study(["model3"], data=["mnist", "digits"]).catalogue("own").usual_on("mnist") == Usual(15, 64, "sgd")
    own = Study(["model3"], data="digits", epochs=3, batch_size=8).catalogue("own")
    assert own.usual_on("digits") == Usual(3, 8, "sgd")
