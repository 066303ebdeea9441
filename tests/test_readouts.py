"""Further ways to predict with what a training left: what they compute, that they change nothing of it, and their
rows."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from bench.cli import run_command_line
from bench.errors import UsageError
from bench.plan.catalogue import catalogue, using
from bench.plan.cells import Cell, preset_cell
from bench.plan.levels import Level, Levels
from bench.plan.protocol import Precision, Protocol
from bench.plan.readouts import READOUTS, SNAPSHOTS, TAIL, Readout
from bench.plan.trials import Trial
from bench.record.probabilities import quality, read_probabilities, rounded, write_probabilities
from bench.record.store import Store, StoreError
from bench.run.rows import name_trials
from bench.study import Study
from bench.train import readouts
from bench.train.data import Data
from bench.train.fit import fit
from bench.train.loop import train
from bench.train.network import plain_network
from bench.train.readouts import READ, Followed, exact_network
from bench.train.single import Training
from bench.train.stack import StackTraining
from tests.studies import bench, edited, write
from tests.test_undistorted import WAYS, distorted_trial, without_times

ALL = tuple(READOUTS)
RUN = "--models model3 --design presets --seeds 1 --epochs 1 --dataset digits --precision fp32"
QUIET = ["--workers", "0", "--no-report", "--no-timing"]


def of_model1(epochs: int = 2, seed: int = 0, **levels: Level) -> Trial:
    """A trial that trains in a few steps, at a rate at which rounding stays small."""
    cell = Cell("model1", Levels({**preset_cell("model1").levels, "augmentation": "none", **levels}))
    return Trial(cell, seed, Protocol("digits", epochs=epochs, lr=1e-3, batch_size=50, readouts=ALL))


def test_every_readout_is_read_and_named_once() -> None:
    assert list(READ) == list(READOUTS)
    assert Protocol("digits", readouts=("swa", "ema", "swa")).readouts == ("last", "ema", "swa")
    assert Protocol("digits").readouts == ()
    assert len({readouts.readout_digest(name) for name in READ}) == len(READ)
    with pytest.raises(UsageError, match="no readout is called 'emma': did you mean ema"):
        Protocol("digits", readouts=("emma",))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("way", WAYS)
def test_it_changes_nothing_of_the_training(way: str, precision: Precision, few_digits: Data) -> None:
    trial = distorted_trial(precision)
    [plain] = train(WAYS[way](trial, few_digits), few_digits)
    training = WAYS[way](trial, few_digits)
    followed = Followed(training)
    [outcome] = train(followed, few_digits)
    state = torch.get_rng_state()
    weights = [parameter.clone() for parameter in exact_network(training).parameters()]
    [read] = followed.read(ALL)
    assert without_times(outcome) == without_times(plain)
    assert list(read) == list(ALL)
    assert torch.equal(torch.get_rng_state(), state)
    for before, after in zip(weights, exact_network(training).parameters(), strict=True):
        assert torch.equal(before, after)
    assert tuple(read["last"].argmax(1)) == outcome.predicted
    assert math.isclose(
        quality(read["last"], few_digits.held_out.labels.numpy()).loss, outcome.curve[-1].held_out_loss, rel_tol=1e-6
    )
    for name, predicted in read.items():
        np.testing.assert_allclose(np.exp(predicted).sum(1), 1, rtol=1e-5, err_msg=name)


def test_a_key_says_nothing_of_readouts(few_digits: Data) -> None:
    trial = of_model1()
    plain = replace(trial, protocol=replace(trial.protocol, readouts=()))
    first, second = name_trials([trial, plain], few_digits, "data")
    assert first.key == second.key


def test_averages_are_those_of_the_weights_after_each_step_and_epoch(few_digits: Data) -> None:
    """Gathered by hand in float64: the plain mean of the first epoch's steps, then a step weighs 1/4 and what was
    before 3/4, as an epoch has four; and the mean of the last epochs' ends."""
    trial = of_model1(epochs=TAIL + 1)
    training = Training(trial, few_digits)
    followed = Followed(training)
    steps: list[Tensor] = []
    readouts._call_after_steps(training, lambda: steps.append(_vector(training)))
    train(followed, few_digits)
    assert len(steps) == 4 * (TAIL + 1)
    average = torch.stack(steps[:4]).mean(0)
    for weights in steps[4:]:
        average = average * 3 / 4 + weights / 4
    mean = torch.stack([steps[4 * epoch - 1] for epoch in range(2, TAIL + 2)]).mean(0)
    kept = followed._kept
    for found, expected in ((kept.average, average), (kept.mean, mean)):
        torch.testing.assert_close(torch.cat([part.flatten() for part in found]).double(), expected, rtol=0, atol=1e-6)
    assert len(kept.ends) == SNAPSHOTS


def _vector(training: Training) -> Tensor:
    return torch.cat([one.detach().flatten() for one in exact_network(training).parameters()]).double()


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_norms_have_the_statistics_that_torch_gathers_without_dropout(
    dropout: float, few_digits: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`update_bn` on the network as it is written, both in float64, in one batch."""
    training = Training(of_model1(epochs=1, batch_norm=True, dropout=dropout), few_digits)
    followed = Followed(training)
    train(followed, few_digits)
    exact_network(training).double()
    monkeypatch.setattr(training, "prepare", partial(training.prepare, dtype=torch.float64))
    plain = plain_network(training.trial.cell, (1, *few_digits.train.images.shape[2:]), 10).double()
    for mine, theirs in zip(plain.parameters(), exact_network(training).parameters(), strict=True):
        mine.data.copy_(theirs)
    for module in plain.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    update_bn([training.prepare(few_digits.train.images.float() / 255)], plain)
    with torch.no_grad():
        expected = plain.eval()(training.prepare(few_digits.held_out.images.float() / 255)).log_softmax(1)
    [read] = followed.read(("norms",))
    np.testing.assert_allclose(read["norms"], expected.numpy(), atol=1e-5)


def test_a_stacks_members_are_read_out_as_alone(few_digits: Data) -> None:
    trials = [of_model1(seed=seed, batch_norm=False) for seed in (0, 1)]
    together = Followed(StackTraining(trials, few_digits, torch.device("cpu")))
    train(together, few_digits)
    for trial, members in zip(trials, together.read(ALL), strict=True):
        [alone] = fit([trial], few_digits)
        assert list(alone.readouts) == list(members)
        for name, predicted in alone.readouts.items():
            np.testing.assert_allclose(members[name], predicted, atol=1e-3, err_msg=name)


def test_a_trial_that_diverged_is_not_read_out(few_digits: Data) -> None:
    wild = of_model1()
    [outcome] = fit([replace(wild, protocol=replace(wild.protocol, lr=1e9))], few_digits)
    assert outcome.status == "diverged"
    assert outcome.readouts == {}


def test_shifts_move_by_a_pixel_and_bring_background_in() -> None:
    images = torch.arange(1.0, 10).view(1, 1, 3, 3)
    down = readouts._shifted(images, (1, 0))
    left = readouts._shifted(images, (0, -1))
    assert down.tolist() == [[[[0, 0, 0], [1, 2, 3], [4, 5, 6]]]]
    assert left.tolist() == [[[[2, 3, 0], [5, 6, 0], [8, 9, 0]]]]
    assert torch.equal(readouts._shifted(images, (0, 0)), images)


def test_quality_of_predictions_by_hand() -> None:
    """Two images, two classes, 0.8 and 0.6 for the first class, of which the first image is and the second isn't."""
    found = quality(np.log(np.array([[0.8, 0.2], [0.6, 0.4]])), np.array([0, 1]))
    assert found.accuracy == 0.5
    assert found.loss == pytest.approx(-(math.log(0.8) + math.log(0.4)) / 2)
    assert found.brier == pytest.approx((2 * 0.2**2 + 2 * 0.6**2) / 2)
    assert found.calibration_error == pytest.approx((0.2 + 0.6) / 2)
    sure = quality(np.log(np.array([[1 - 1e-12, 1e-12]] * 4)), np.array([0, 0, 0, 1]))
    assert sure.calibration_error == pytest.approx(0.25)  # a confidence of 1 is of the last bin


def test_half_the_room_keeps_the_most_probable_class() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 1, (2000, 10))
    logits[:1000, 3] = logits[:1000].max(1) + 1e-5  # nearer to the best than half the room can tell
    logs = (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float32)
    assert (logs.astype(np.float16).argmax(1) != logs.argmax(1)).any()
    assert (rounded(logs).argmax(1) == logs.argmax(1)).all()
    np.testing.assert_allclose(rounded(logs), logs, rtol=2e-3)
    assert np.isfinite(rounded(np.array([[0.0, -np.inf]]))).all()


@pytest.mark.parametrize("spoil", [lambda _: b"", lambda data: data[:50], lambda data: b"PK" + data[:200]])
def test_a_file_that_is_no_probabilities_is_refused(spoil: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "probabilities" / "a.npz"
    predicted = np.log(np.array([[0.7, 0.3]] * 3))
    write_probabilities(path, {"last": predicted})
    found = read_probabilities(path, "last")
    assert found is not None
    np.testing.assert_allclose(found, predicted, rtol=1e-3)
    assert read_probabilities(path, "ema") is None
    assert read_probabilities(path.with_name("b.npz"), "last") is None
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(StoreError, match=r"a\.npz holds no probabilities: delete it"):
        read_probabilities(path, "last")
    np.savez(path, last=np.array([[1.0, 2.0]], dtype=np.float16))
    with pytest.raises(StoreError, match="holds no probabilities"):
        read_probabilities(path, "last")


def test_a_trial_that_lacks_a_readout_is_trained_again_for_it_and_keeps_its_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(name: str, *options: str) -> str:
        quiet = QUIET if name == "run" else []
        assert run_command_line([name, *RUN.split(), "--results", str(tmp_path), *quiet, *options]) == 0
        return capsys.readouterr().out

    assert "0 recorded, 1 to train\n" in command("run")
    row = (tmp_path / "digits" / "trials.csv").read_bytes()
    assert "Not read out" not in command("status")
    assert "Not read out: 1 done trial of last, ema; `bench run`" in command("status", "--readouts", "ema")
    assert "0 recorded, 1 to train, 1 of these again for their readouts" in command("run", "--readouts", "ema")
    assert "Not read out" not in command("status", "--readouts", "ema")
    assert "1 recorded, 0 to train\n" in command("run", "--readouts", "ema,last")
    assert (tmp_path / "digits" / "trials.csv").read_bytes() == row
    store = Store(tmp_path / "digits")
    [trial] = store.trials().to_dict("records")
    rows = store.readouts()
    assert rows["readout"].tolist() == ["last", "ema"]
    assert rows["accuracy"].iloc[0] == trial["test_accuracy"]
    assert rows["loss"].iloc[0] == pytest.approx(trial["test_loss"], rel=1e-6)
    assert set(rows["trial"]) == {trial["trial"]}
    predicted = store.probabilities(str(trial["trial"]), "ema")
    assert predicted is not None
    assert predicted.shape == (899, 10)
    assert store.labels()["images"].tolist() == [899]
    assert "1 of these again" in command("run", "--readouts", "swa")
    assert store.readouts()["readout"].tolist() == ["ema", "last", "swa"]


def test_held_out_training_images_are_read_out_without_the_test_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--val", "200", "--readouts", "tta", "--results", str(tmp_path)]
    assert run_command_line(["run", *RUN.split(), *QUIET, *options]) == 0
    capsys.readouterr()
    store = Store(tmp_path / "digits", "selection.csv")
    rows = store.readouts()
    assert rows["images"].tolist() == [200, 200]
    assert rows["accuracy"].iloc[0] == store.trials()["val_accuracy"].iloc[0]
    assert not (tmp_path / "digits" / "probabilities").exists()
    assert Store(tmp_path / "digits").readouts().empty


@pytest.mark.parametrize("command", [["run", "--all"], ["status"]])
def test_an_unknown_readout_is_answered_in_one_line(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line([*command, "--readouts", "emma"]) == 2
    assert capsys.readouterr().err == "bench: no readout is called 'emma': did you mean ema?\n"


def test_a_study_asks_for_readouts() -> None:
    assert Study(["model3"], data="digits", readouts=["swa"]).catalogue("x").defaults.readouts == ("last", "swa")
    with pytest.raises(UsageError, match="no readout is called 'swan'"):
        Study(["model3"], data="digits", readouts=["swan"])
    with pytest.raises(UsageError, match="readouts"):
        Study(["model3"], data="digits", readouts="swa")


def shifted(network: nn.Module, images: Tensor) -> Tensor:
    """As `tta`, but for what comes in at the edges: a pixel of the other edge."""
    views = [images, *(images.roll(by, dimension) for dimension in (2, 3) for by in (1, -1))]
    return torch.stack([network(view).softmax(1) for view in views]).mean(0)


def plainly(network: nn.Module, images: Tensor) -> Tensor:
    return torch.softmax(network(images), 1)


def twin(net: nn.Module, batch: Tensor) -> Tensor:
    """As `plainly`, in other words."""
    return torch.softmax(net(batch), 1)


OWN = [Readout("plainly", "the last weights once more", plainly), Readout("rolled", "five views", shifted, passes=5)]


@pytest.mark.parametrize("way", WAYS)
def test_a_studys_own_readout_predicts_with_a_copy_of_the_trained_network(way: str, few_digits: Data) -> None:
    def wiped(network: nn.Module, images: Tensor) -> Tensor:
        for parameter in network.parameters():
            parameter.zero_()
        return plainly(network, images)

    names = ("plainly", "rolled", "wiped")
    with using(replace(catalogue(), readouts={one.name: one for one in [*OWN, Readout("wiped", "", wiped)]})):
        trial = distorted_trial("fp32")
        trial = replace(trial, protocol=replace(trial.protocol, readouts=names))
        training = WAYS[way](trial, few_digits)
        followed = Followed(training)
        train(followed, few_digits)
        [read] = followed.read(trial.protocol.readouts)
    assert list(read) == ["last", *names]
    np.testing.assert_allclose(read["plainly"], read["last"], atol=1e-5)
    assert np.abs(read["rolled"] - read["last"]).max() > 1e-3
    np.testing.assert_allclose(np.exp(read["wiped"]).max(1), 0.1, atol=1e-6)
    np.testing.assert_allclose(followed.read(["last"])[0]["last"], read["last"])


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (lambda network, images: network(images), "numbers that are no probabilities: those of an image's classes"),
        (lambda network, images: network(images).softmax(1)[:, :3], r"shape \(4, 3\), and should .* shape \(4, 10\)"),
        (lambda _, images: len(images), "int, and should return probabilities"),
        (lambda network, images: network(images[0, 0, 0]), "fails: "),
    ],
)
def test_one_that_predicts_no_probabilities_is_said_before_the_training(
    predict: Callable[..., object], message: str, few_digits: Data
) -> None:
    with (
        using(replace(catalogue(), readouts={"mine": Readout("mine", "", predict)})),
        pytest.raises(UsageError, match=f"^test_readouts.py:\\d+: readout mine .*{message}"),
    ):
        Followed(Training(replace(of_model1(), protocol=Protocol("digits", readouts=("mine",))), few_digits))


@pytest.mark.parametrize(
    ("readout", "message"),
    [
        (Readout("ema", "", plainly), "a readout is called 'ema' already"),
        (Readout("a b", "", plainly), "letters, numbers, _ and -, unlike 'a b'"),
        (Readout("mine", ""), "readout mine has no predict="),
        (Readout("mine", "", plainly, passes=0), "readout mine: passes is a whole number above 0"),
        (Readout("mine", 3, plainly), "readout mine: words is a text"),  # type: ignore[arg-type]
    ],
)
def test_a_readout_that_can_be_none_is_refused(readout: Readout, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Study(["model3"], data="digits", readouts=[readout])
    with pytest.raises(UsageError, match="two readouts are called 'plainly'"):
        Study(["model3"], data="digits", readouts=[OWN[0], OWN[0]])


MIRRORED = """

def mirrored(network, images):
    return (network(images).softmax(1) + network(images.flip(3)).softmax(1)) / 2


STUDY = Study("""


def test_what_a_readout_of_ones_own_does_is_part_of_its_rows() -> None:
    def digest(predict: Callable[..., object]) -> str:
        with using(replace(catalogue(), readouts={"mine": Readout("mine", "", predict)})):
            return readouts.readout_digest("mine")

    assert digest(plainly) == digest(twin)
    assert digest(plainly) != digest(shifted)
    assert digest(plainly) != digest(lambda network, images: network(2 * images).softmax(1))


def test_a_study_of_ones_own_is_read_out_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    readouts = 'readouts=["ema", Readout("mirrored", "an image and its mirror image", mirrored, passes=2)],'
    file = edited(
        ("\nSTUDY = Study(", MIRRORED),
        ("Recipe,", "Readout, Recipe,"),
        ("    seeds=1,", f"    seeds=2,\n    {readouts}"),
    )
    command = ["mine.py", "--design", "presets"]

    def printed(*arguments: str) -> str:
        ran = bench(*arguments)
        assert ran.code == 0, ran.err
        return ran.out

    write(tmp_path, file.replace(".softmax(1)", "", 1))
    tried = bench("try", "mine.py", "--seconds", "10", *command[1:])
    assert tried.code == 2
    assert re.search(
        r"^FAIL  readouts .*\n      mine.py:\d+: readout mirrored returns numbers that are no ", tried.out, re.M
    )
    write(tmp_path, file)
    assert "mirrored   an image and its mirror image" in printed("list", "mine.py")
    printed("run", *command, "--workers", "1", "--no-timing")
    page = (tmp_path / "reports" / "mine" / "digits" / "index.html").read_text()
    assert "an image and its mirror image" in page
    rows = Store(tmp_path / "results" / "mine" / "digits").readouts()
    assert sorted(rows["readout"]) == sorted(["last", "ema", "mirrored"] * 2)
    assert rows.loc[rows["readout"] == "mirrored", "passes"].tolist() == [2, 2]
    assert "2 recorded, 0 to train" in printed("run", *command, "--plan")
