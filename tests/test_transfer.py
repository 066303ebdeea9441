"""Phases of training before a trial's own: what they hand on, what stays still, their files, keys, cells and rows."""

import runpy
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from bench.errors import UsageError
from bench.plan.catalogue import catalogue, using
from bench.plan.cells import Cell, preset_cell
from bench.plan.designs import DESIGNS, varied
from bench.plan.keys import Parts, trial_key
from bench.plan.levels import Level, Levels
from bench.plan.protocol import Protocol
from bench.plan.trials import Trial
from bench.record.store import Store
from bench.report.evidence import gather
from bench.report.report import Report
from bench.report.sections import draw_charts, make_tables, transfer
from bench.report.sections.transfer import transfer_table
from bench.report.sections.transfer.results import beginnings
from bench.report.stats.verdict import Verdict
from bench.run.phases import PhaseFiles, phases_to_learn, read_learned, write_learned
from bench.run.runner import FORWARD_SHARE, phase_seconds, prepare_run, train_missing
from bench.run.serial import Serial
from bench.session.request import chosen_cells
from bench.study import Factor, Phase, Recipe, Study, from_arrays
from bench.train.data import Data, Split
from bench.train.few import FewError, few_of_each
from bench.train.fit import begin, fit
from bench.train.identity import phase_key, training_parts
from bench.train.kept import Learned
from bench.train.recipe import recipe_of
from bench.train.seeded import build_readable_network
from bench.train.start import StartedTraining, StartError, body_of, first_of, learn, start_from
from tests.synthetic import write_rows

SHORT = {
    "other": Phase("other", epochs=1),
    "frozen": Phase("other", epochs=1, frozen=True),
    "updates": Phase("other", epochs=1, own_images=True),
}

PRETRAINING = Factor(
    "before", ("off", *SHORT), change=lambda recipe, level: recipe.with_start(SHORT[level]), changes_step=False
)
FEW = Factor("few", ("all", 10), change=lambda recipe, level: recipe.with_images(per_class=level), changes_step=False)


@pytest.fixture(autouse=True)
def _factors() -> Iterator[None]:
    with ExitStack() as stack:
        known = catalogue()
        stack.enter_context(using(replace(known, factors=(*known.factors, PRETRAINING, FEW))))
        yield


@pytest.fixture(scope="session")
def data(few_digits: Data, digits: Data) -> Data:
    other = Data(
        "other",
        Split(digits.train.images[300:500], digits.train.labels[300:500]),
        few_digits.held_out,
        classes=10,
    )
    return replace(few_digits, others={"other": other})


def trial(model: str = "model2", seed: int = 0, epochs: int = 1, **levels: Level) -> Trial:
    preset = preset_cell(model)
    return Trial(Cell(model, Levels({**preset.levels, **levels})), seed, Protocol("digits", epochs=epochs))


def begun(one: Trial, data: Data) -> tuple[StartedTraining, Learned]:
    recipe = recipe_of(one)
    assert recipe.start is not None
    learned = learn(first_of(one, data, recipe, recipe.start))
    training = begin([one], data, start_from(learned, one, data, recipe.start))
    assert isinstance(training, StartedTraining)
    return training, learned


def state_of(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_a_seed_draws_the_same_images_for_all_and_of_fewer_some_of_those_of_more(digits: Data) -> None:
    ten, thirty = few_of_each(digits, 10, 0), few_of_each(digits, 30, 0)
    assert torch.bincount(ten.train.labels).tolist() == [10] * 10
    known = {image.numpy().tobytes() for image in thirty.train.images}
    assert all(image.numpy().tobytes() in known for image in ten.train.images)
    assert torch.equal(ten.train.images, few_of_each(digits, 10, 0).train.images)
    assert not torch.equal(ten.train.images, few_of_each(digits, 10, 1).train.images)
    assert torch.equal(ten.held_out.images, digits.held_out.images)
    assert few_of_each(digits, None, 0) is digits
    with pytest.raises(FewError, match=r"digits has \d+ training images of class \d, not 300"):
        few_of_each(digits, 300, 0)


@pytest.mark.parametrize("model", ["model1", "model2", "model3"])
def test_all_layers_but_the_last_are_handed_on(model: str) -> None:
    names = set(state_of(build_readable_network(trial(model), _of_noise(10))))
    body = body_of(preset_cell(model), (1, 28, 28), 10)
    left = {name.rpartition(".")[0] for name in names - set(body)}
    expected = {"model1": 2, "model2": 1, "model3": 1}  # the last convolution, and model1's linear layer on it
    assert len(left) == expected[model]
    assert not any("norm" in name for name in left)


def _of_noise(classes: int) -> Data:
    images = torch.zeros(20, 1, 28, 28, dtype=torch.uint8)
    split = Split(images, torch.arange(20) % classes)
    return Data("noise", split, split, classes)


def test_a_trial_starts_from_the_body_and_from_its_own_last_layer(data: Data) -> None:
    one = trial(before="other")
    training, learned = begun(one, data)
    own, started = state_of(build_readable_network(one, data)), state_of(training.network)
    body = body_of(one.cell, data.input_shape, data.classes)
    assert 0 < len(body) < len(own)
    for name, value in started.items():
        assert torch.equal(value, learned.weights[name] if name in body else own[name]), name
    assert any("running_mean" in name for name in body)
    assert any(not torch.equal(learned.weights[name], own[name]) for name in body)


@pytest.mark.parametrize("model", ["model1", "model2", "model3"])
def test_a_frozen_body_computes_and_stays_as_it_was_measured(data: Data, model: str) -> None:
    one = trial(model, before="frozen", augmentation="none", scheduler="step")
    training, _ = begun(one, data)
    before = state_of(training.network)
    body = body_of(one.cell, data.input_shape, data.classes)
    images = training.prepare(data.train.images[:64].float().div_(255))
    # The first step's loss is that of the network as it is measured, dropout off and norms by their statistics.
    training.network.eval()
    with torch.no_grad():
        expected = nn.functional.cross_entropy(training.network(images), data.train.labels[:64])
    training.network.train()
    loss, _ = training.step(torch.arange(64))
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    training.epoch()
    after = state_of(training.network)
    assert all(torch.equal(after[name], before[name]) for name in body)
    assert any(not torch.equal(after[name], before[name]) for name in after if name not in body)


def test_as_many_updates_on_the_trials_own_images_hand_on_the_whole_network(data: Data) -> None:
    one = trial(before="updates", few=10)
    own = few_of_each(data, 10, 0)
    recipe = recipe_of(one)
    assert recipe.start is not None
    first = first_of(one, own, recipe, recipe.start)
    assert first.data is own
    assert first.trial.protocol.epochs == 2  # of 2 updates each, as one epoch of 200 images makes 4
    training, learned = begun(one, own)
    assert learned.updates == 4
    assert all(torch.equal(value, learned.weights[name]) for name, value in state_of(training.network).items())


def test_the_phase_is_an_ordinary_training_with_the_trials_seed(data: Data) -> None:
    one = trial(before="other")
    _, learned = begun(one, data)
    training = begin([trial()], data.others["other"])
    training.epoch()
    weights = list(state_of(training.network).values())
    for own, value in zip(learned.weights.values(), weights, strict=True):
        torch.testing.assert_close(own, value, rtol=1e-3, atol=1e-4)


def test_an_outcome_says_what_it_began_with_and_repeats(data: Data) -> None:
    [outcome] = fit([trial(before="other", few=10)], data)
    assert outcome.began is not None
    assert (outcome.began.data, outcome.began.updates, outcome.train_images) == ("other", 4, 100)
    assert outcome.began.seconds > 0
    [again] = fit([trial(before="other", few=10)], data)
    assert [e.train_loss.hex() for e in again.curve] == [e.train_loss.hex() for e in outcome.curve]
    [control] = fit([trial(before="updates", few=10)], data)
    assert control.began is not None
    assert (control.began.data, control.began.updates) == ("digits", 4)
    [off] = fit([trial()], data)
    assert (off.began, off.train_images) == (None, 200)


def test_trials_with_a_phase_of_their_own_or_fewer_images_leave_their_stack(data: Data) -> None:
    stack = [trial(), trial(few=10), trial(before="other")]
    assert [outcome.train_images for outcome in fit(stack, data)] == [200, 100, 200]


def test_off_says_nothing_in_a_key_and_a_phase_says_what_it_was(data: Data) -> None:
    usual = training_parts(trial())
    assert not {"start", "images_per_class"} & set(usual)
    assert training_parts(trial(), data=data) == usual
    few = training_parts(trial(few=10), data=data)
    assert few == {**usual, "images_per_class": few["images_per_class"]}
    started = training_parts(trial(before="other"), data=data)
    assert set(started) - set(usual) == {"start", "loss"}
    assert started["start"] == training_parts(trial(before="other", seed=1), data=data)["start"]
    assert started["start"] != training_parts(trial(before="frozen"), data=data)["start"]
    others = replace(data.others["other"], train=few_of_each(data, 10, 0).train)
    moved = replace(data, others={"other": others})
    assert started["start"] != training_parts(trial(before="other"), data=moved)["start"]


def test_adding_such_factors_moves_no_key() -> None:
    parts = Parts("n", "t", "d")
    before = trial_key(trial(), parts)
    known = catalogue()
    with using(replace(known, factors=tuple(one for one in known.factors if one.name not in ("before", "few")))):
        assert trial_key(Trial(preset_cell("model2"), 0, Protocol("digits", epochs=1)), parts) == before


def test_trials_share_a_phase_where_it_leaves_the_same(data: Data) -> None:
    def key(**levels: Any) -> str:
        one = trial(**levels)
        recipe = recipe_of(one)
        assert recipe.start is not None
        return phase_key(first_of(one, few_of_each(data, recipe.images_per_class, one.seed), recipe, recipe.start))

    shared = key(before="other")
    assert key(before="frozen") == key(before="other", few=10) == key(before="other", epochs=3) == shared
    assert shared != key(before="other", seed=1)
    assert shared != key(before="updates")
    assert key(before="updates") != key(before="updates", few=10)


def learned(seconds: float = 1.5) -> Learned:
    return Learned({"a.weight": torch.arange(6.0).view(2, 3), "a.count": torch.tensor(3)}, 7, seconds)


def same(one: Learned, other: Learned) -> bool:
    alike = one.weights.keys() == other.weights.keys() and (one.updates, one.seconds) == (other.updates, other.seconds)
    return alike and all(torch.equal(value, other.weights[name]) for name, value in one.weights.items())


def test_a_phase_is_learned_once_and_a_damaged_file_again(tmp_path: Path) -> None:
    calls: list[int] = []

    def learn_it() -> Learned:
        calls.append(1)
        return learned()

    files = PhaseFiles(tmp_path / "phases")
    threads = [threading.Thread(target=files, args=("k", learn_it)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert same(files("k", learn_it), learned())
    assert [path.name for path in (tmp_path / "phases").iterdir()] == ["k.safetensors"]
    path = tmp_path / "phases" / "k.safetensors"
    whole = path.read_bytes()
    for place in (0, 9, len(whole) // 2, len(whole) - 2):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        assert read_learned(path) is None, place
    path.write_bytes(whole[:-3])
    assert same(files("k", learn_it), learned())
    assert len(calls) == 2
    assert same(read_learned(path) or learned(9.0), learned())


def test_where_nothing_can_be_kept_everyone_learns(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert same(PhaseFiles(tmp_path / "file" / "phases")("k", learned), learned())
    assert read_learned(tmp_path / "absent") is None
    write_learned(tmp_path / "k", learned(0.1))
    assert same(read_learned(tmp_path / "k") or learned(9.0), learned(0.1))


@pytest.fixture
def example() -> Iterator[None]:
    """The study of examples/transfer."""
    study = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "transfer" / "transfer.py"))["STUDY"]
    with using(study.catalogue("transfer")):
        yield


@pytest.mark.usefixtures("example")
def test_usual_designs_leave_such_factors_out_and_transfer_crosses_them() -> None:
    names = {"pretraining", "images_per_class"}
    assert not names & {factor.name for factor in varied("toggles")}
    assert {factor.name for factor in varied("transfer")} == names
    assert len(chosen_cells(False, None, None, None)) == 13 * 5
    assert len(chosen_cells(False, None, "toggles", "pretraining")) == 13
    assert all(cell.levels["pretraining"] == "off" for cell in chosen_cells(False, None, "toggles", None))


def test_a_study_without_such_factors_says_so() -> None:
    with pytest.raises(UsageError, match="this study has none"):
        varied("transfer")
    assert "transfer" in DESIGNS


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Phase("mnist", epochs=0), "Phase: epochs is a whole number above 0, not 0"),
        (lambda: Phase("mnist", rate=-1.0), "Phase: rate is a number above 0, not -1.0"),
        (lambda: Phase("mnist", frozen=1), "Phase: frozen is True or False, not 1"),  # type: ignore[arg-type]
        (lambda: Phase("mnist", frozen=True, own_images=True), "nothing could be frozen"),
        (lambda: Phase(3), "Phase: data is a text, not 3"),  # type: ignore[arg-type]
        (lambda: Recipe().with_start("mnist"), r"with_start takes a phase, as Phase\('flowers', epochs=5\)"),  # type: ignore[arg-type]
        (lambda: Recipe().with_images(0), "with_images: a number of images is a whole number above 0"),
        (lambda: Study([deaf], factors=[replace(FEW, design="mine")]).here(), "factor few: design is no 'mine'"),
    ],
)
def test_what_cant_be_is_said_when_it_is_made(make: Callable[[], object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make()


def one_layer(shape: tuple[int, int, int], classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), classes))


def sized(shape: tuple[int, int, int], classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 4), nn.ReLU(), nn.Linear(4, classes))


def deaf(shape: tuple[int, int, int], _classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 8), nn.ReLU(), nn.Linear(8, 3))


def pooled(shape: tuple[int, int, int], classes: int) -> nn.Module:
    body = nn.Conv2d(shape[0], 4, 3), nn.BatchNorm2d(4), nn.ReLU()
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))


def pictures(name: str, size: int, classes: int, seed: int = 0, count: int = 60) -> Any:
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    images = generator.integers(0, 256, (count, size, size), dtype=np.uint8)
    return from_arrays(name, (images, labels), (images[:30], labels[:30]))


def study(build: Any, *sizes: int, phase: Phase | None = None) -> Study:
    here, there = (sizes * 2)[:2]
    start = phase or Phase("there", epochs=1)
    return Study(
        architectures=[build],
        data=[pictures("here", here, 3), pictures("there", there, 5, seed=1)],
        factors=[Factor("before", ("off", "on"), change=lambda recipe, _level: recipe.with_start(start))],
        epochs=1,
        batch_size=16,
        rates=0.05,
    )


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ((one_layer, 8), "one_layer has no layer before the last"),
        ((deaf, 8), "deaf has no layer whose shape depends on the number of classes"),
        ((sized, 8, 10), r"images are 1x10x10 and not 1x8x8: its 1.weight is 4x100 there and 4x64 here"),
    ],
)
def test_a_body_that_cant_be_handed_on_is_said_in_a_line(made: Any, said: str, tmp_path: Path) -> None:
    build, *sizes = made
    with using(study(build, *sizes).here()):
        trials = [Trial(cell, 0, _protocol("here")) for cell in DESIGNS["toggles"]([build.__name__], varied("toggles"))]
        with pytest.raises(StartError, match=said):
            prepare_run(trials, "toggles", tmp_path, tmp_path)


def _protocol(dataset: str) -> Protocol:
    return Protocol(dataset, epochs=1, batch_size=16)


def test_a_phase_without_its_files_or_of_no_name_is_said_in_a_line(tmp_path: Path) -> None:
    for data, said in (("mnist", "mnist is not in .*fetch it with"), ("mnits", "no data set is called so: .*mnist")):
        with using(study(pooled, 8, phase=Phase(data)).here()):
            trials = [Trial(cell, 0, _protocol("here")) for cell in DESIGNS["toggles"](["pooled"], varied("toggles"))]
            with pytest.raises(UsageError, match=said):
                prepare_run(trials, "toggles", tmp_path, tmp_path)


def test_a_study_trains_with_phases_and_rows_say_so(tmp_path: Path) -> None:
    with using(study(pooled, 8, 10).here()):
        trials = [
            Trial(cell, seed, _protocol("here"))
            for seed in range(2)
            for cell in DESIGNS["toggles"](["pooled"], varied("toggles"))
            if cell.levels["before"] == "on" or cell.is_preset
        ]
        run = prepare_run(trials, "toggles", tmp_path, tmp_path)
        assert len(phases_to_learn(trials, run.data)) == 2
        second_each = {trial.cell: 1.0 for trial in trials}
        before = phase_seconds(run.missing(), run.data, second_each)
        assert before == pytest.approx(2 * 60 / (60 + FORWARD_SHARE * 30))
        train_missing(run, run.missing(), lambda data, _stacks: Serial(data))
        assert phase_seconds(trials, run.data, second_each) == 0
        assert not prepare_run(trials, "toggles", tmp_path, tmp_path).missing()
        rows = run.rows()
        on, off = rows[rows["before"] == "on"], rows[rows["before"] == "off"]
        assert set(on["phase"]) == {"there"}
        assert set(on["phase_updates"]) == {4}
        assert (on["phase_seconds"] > 0).all()
        assert off["phase"].isna().all()
        assert set(rows["train_images"]) == {60}
        assert len(list((tmp_path / "here" / "phases").glob("*.safetensors"))) == 2


@pytest.mark.usefixtures("example")
def test_the_report_shows_what_a_phase_is_worth_and_leaves_other_sections_alone(tmp_path: Path) -> None:
    report = Report(gather(_recorded(tmp_path / "digits"), "digits"), 0.0005)
    assert {cell.label for cell in report.evidence.cells} == {"model3"}
    found = {(one.cell.label, one.images): one for one in beginnings(report)}
    assert len(found) == 2 * 4
    started, whole = found["model3 pretraining=mnist images_per_class=10", 100], found["model3 pretraining=mnist", 898]
    assert started.over_none is not None
    assert started.over_updates is not None
    assert started.over_none.mean == pytest.approx(0.10, abs=1e-9)
    assert started.over_updates.mean == pytest.approx(0.06, abs=1e-9)
    assert (started.verdict, started.accuracy.n) == (Verdict.HELPS, 5)
    assert whole.over_none is not None
    assert whole.over_none.mean == pytest.approx(0.02, abs=1e-9)
    assert (started.updates, round(started.seconds)) == (4690 + 15 * 2, 130)
    control = found["model3 pretraining=mnist updates images_per_class=10", 100]
    assert control.over_updates is None
    [table] = [table for table in make_tables(report) if table.name == "transfer"]
    assert len(table.rows) == 8
    [chart] = [chart for chart in draw_charts(report) if chart.name == "transfer"]
    assert "model3 with pretraining on mnist 90.00 %" in chart.alt
    [first, *_] = transfer.SECTION.sentences(report)
    assert first.startswith("Pretraining on mnist changes the accuracy of model3 by +10.00 points with 100 training")


def test_without_phases_there_is_no_such_section(tmp_path: Path) -> None:
    report = Report(gather(write_rows(tmp_path / "mnist", [preset_cell("model1")]), "mnist"), 0.0005)
    assert beginnings(report) == ()
    assert not transfer_table(report).rows


def _recorded(folder: Path) -> Store:
    """Rows of model3 on digits, made up: 10 images a class and all, each with and without phases."""
    preset, factors = preset_cell("model3"), catalogue().by_name
    means = {"off": (0.80, 0.95), "mnist": (0.90, 0.97), "mnist frozen": (0.85, 0.90), "mnist updates": (0.84, 0.96)}
    few_and_all: tuple[Level, ...] = (10, "all")
    noise = np.random.default_rng(0).normal(0, 0.003, 5)
    noise -= noise.mean()
    cells = {
        preset.with_level(factors["pretraining"], level).with_level(factors["images_per_class"], images): mean
        for level, both in means.items()
        for images, mean in zip(few_and_all, both, strict=True)
    }
    store = write_rows(folder, dataset="digits", accuracies={cell: mean + noise for cell, mean in cells.items()})
    trials = pd.read_csv(store.trials_path)
    few, started = trials["images_per_class"] == "10", trials["pretraining"] != "off"
    trials["train_images"] = np.where(few, 100, 898)
    trials["phase"] = np.where(started, np.where(trials["pretraining"].str.contains("updates"), "digits", "mnist"), "")
    trials["phase_updates"] = np.where(started, "4690", "")
    trials["phase_seconds"] = np.where(started, "100.0", "")
    trials["train_seconds"] = 30.0
    trials["test_accuracy"] = [mean + noise[seed] for mean in cells.values() for seed in range(5)]
    trials.to_csv(store.trials_path, index=False)
    return Store(folder)
