"""Which rows a report is about."""

import csv
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pytest

from bench.errors import UsageError
from bench.plan.catalogue import find_factors
from bench.plan.cells import preset_cell
from bench.plan.keys import Parts, trial_key
from bench.plan.protocol import Precision, Protocol
from bench.plan.trials import Trial
from bench.record.reading import StoreError
from bench.record.store import Store
from bench.report.evidence import NoRowsError, gather
from bench.report.report import Report
from bench.report.sections import caveats
from bench.report.sections.cells.results import cell_results
from bench.report.sections.precision import precision_effects, precision_table
from bench.report.sections.targets import target_table
from bench.run.networks import network_today
from bench.session.reports import todays_evidence
from tests.synthetic import write_rows

PRESET = preset_cell("model3")


def rewrite(store: Store, **changes: object) -> None:
    """Changes columns of every trial row and gives it the key that goes with them, in its epochs too."""
    epochs = (store.folder / "epochs.csv").read_text()
    with store.trials_path.open(newline="") as file:
        rows = [row | {name: str(value) for name, value in changes.items()} for row in csv.DictReader(file)]
    for row in rows:
        protocol = Protocol(
            "mnist", int(row["epochs"]), precision=cast(Precision, row["precision"]), lr=float(row["lr"])
        )
        key = trial_key(Trial(PRESET, int(row["seed"]), protocol), Parts(row["network"], row["training"], row["data"]))
        epochs = epochs.replace(row["trial"], key)
        row["trial"] = key
    (store.folder / "epochs.csv").write_text(epochs)
    with store.trials_path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def together(folder: Path, *stores: Store) -> Store:
    """One store with the trials and epochs of several."""
    folder.mkdir()
    for name in ("trials.csv", "epochs.csv"):
        first, *others = [(store.folder / name).read_text() for store in stores]
        (folder / name).write_text(first + "".join(text.partition("\n")[2] for text in others))
    return Store(folder)


@pytest.fixture
def five(tmp_path: Path) -> Store:
    return write_rows(tmp_path / "five", [PRESET], seeds=5)


def test_rows_come_with_their_cells(five: Store) -> None:
    evidence = gather(five, "mnist")
    assert evidence.cells == (PRESET,)
    rows = evidence.rows(PRESET)
    assert rows.index.tolist() == [0, 1, 2, 3, 4]
    seeds, bits = evidence.bits(PRESET)
    assert seeds == [0, 1, 2, 3, 4]
    assert bits[0].mean() == rows["test_accuracy"].loc[0]
    assert evidence.left_out == ()


@pytest.mark.parametrize(
    ("changes", "left_out"),
    [
        ({"precision": "bf16"}, ()),
        *(
            (changes, ("3 trials under 1 other protocol",))
            for changes in (
                {"epochs": 3},
                {"lr": 0.5},
                {"training": "other"},
                {"data": "e"},
                {"precision": "bf16", "epochs": 3},
            )
        ),
    ],
)
def test_protocols_are_never_pooled(
    five: Store, tmp_path: Path, changes: dict[str, object], left_out: tuple[str, ...]
) -> None:
    other = write_rows(tmp_path / "other", [PRESET], seeds=3)
    rewrite(other, **changes)
    evidence = gather(together(tmp_path / "both", other, five), "mnist")
    assert len(evidence.trials) == 5
    assert evidence.left_out == left_out
    assert len(evidence.other_precisions) == (0 if left_out else 3)


def test_two_cells_of_five_seeds_say_more_than_one_of_many(tmp_path: Path) -> None:
    toggle = PRESET.with_level(find_factors(["dropout"])[0], 0.1)
    two = write_rows(tmp_path / "two", [PRESET, toggle], seeds=5)
    for cells, seeds in (([PRESET], 12), ([PRESET, toggle], 4)):
        other = write_rows(tmp_path / f"other{seeds}", cells, seeds=seeds)
        rewrite(other, precision="bf16")
        assert gather(together(tmp_path / f"both{seeds}", other, two), "mnist").protocol["precision"] == "fp32"


@pytest.mark.parametrize("seeds", [3, 7])
def test_precisions_are_compared_seed_by_seed(five: Store, tmp_path: Path, seeds: int) -> None:
    accuracies = [0.991, 0.9905, 0.9907, 0.9911, 0.9909, 0.992, 0.9912][:seeds]
    other = write_rows(tmp_path / "other", images=10_000, accuracies={PRESET: accuracies})
    rewrite(other, precision="bf16")
    evidence = gather(together(tmp_path / "both", other, five), "mnist")
    assert evidence.protocol["precision"] == ("fp32" if seeds == 3 else "bf16")
    reference = gather(five, "mnist").rows(PRESET)["test_accuracy"].to_numpy()
    shared = min(seeds, 5)
    differences = np.array(accuracies[:shared]) - reference[:shared]
    [effect] = precision_effects(Report(evidence, 0.0005))
    assert (effect.cell, effect.baseline, effect.precision) == (PRESET, None, "bf16")
    assert effect.value == pytest.approx(np.mean(accuracies))
    assert effect.reference == pytest.approx(reference.mean())
    assert effect.difference.mean == pytest.approx(np.mean(accuracies) - reference.mean())
    assert (effect.difference.minimum, effect.difference.maximum) == pytest.approx(
        (differences.min(), differences.max())
    )


def test_what_a_precision_does_to_an_effect_is_a_difference_of_differences(tmp_path: Path) -> None:
    toggle = PRESET.with_level(find_factors(["dropout"])[0], 0.1)
    own = write_rows(tmp_path / "own", images=10_000, accuracies={PRESET: [0.98, 0.981], toggle: [0.985, 0.987]})
    other = write_rows(tmp_path / "other", images=10_000, accuracies={PRESET: [0.982, 0.982], toggle: [0.984, 0.983]})
    rewrite(other, precision="bf16")
    found = precision_effects(Report(gather(together(tmp_path / "both", own, other), "mnist"), 0.0005))
    [effect] = [effect for effect in found if effect.baseline is not None]
    assert (effect.cell, effect.baseline) == (toggle, PRESET)
    assert (effect.value, effect.reference) == pytest.approx((0.0015, 0.0055))
    assert effect.difference.mean == pytest.approx(-0.004)
    assert effect.difference.n == 2


def test_one_seed_says_nothing_of_a_precision(tmp_path: Path) -> None:
    own = write_rows(tmp_path / "own", images=10_000, accuracies={PRESET: [0.98, 0.981]})
    other = write_rows(tmp_path / "other", images=10_000, accuracies={PRESET: [0.982]})
    rewrite(other, precision="bf16")
    assert precision_effects(Report(gather(together(tmp_path / "both", own, other), "mnist"), 0.0005)) == []


def test_a_precision_s_effects_are_named_by_both_levels(tmp_path: Path) -> None:
    [augmentation] = find_factors(["augmentation"])
    cells = {PRESET.with_level(augmentation, level): [0.98, 0.981] for level in ("none", "basic", "advanced")}
    own, other = (write_rows(tmp_path / name, images=10_000, accuracies=cells) for name in ("own", "other"))
    rewrite(other, precision="bf16")
    analysis = Report(gather(together(tmp_path / "both", own, other), "mnist"), 0.0005)
    named = [row["what"] for row in precision_table(analysis).rows if row["is_effect"]]
    assert len(named) == len(set(named)) > 1
    assert any(" instead of " in name for name in named)


def test_the_target_is_held_against_every_precision(five: Store, tmp_path: Path) -> None:
    other = write_rows(tmp_path / "other", images=10_000, accuracies={PRESET: [0.9946, 0.9945, 0.9941]})
    rewrite(other, precision="bf16")
    analysis = Report(gather(together(tmp_path / "both", other, five), "mnist"), 0.0005)
    own, bf16 = target_table(analysis).rows
    assert (own["precision"], own["n"], own["accuracy"]) == ("fp32", 5, cell_results(analysis)[0].accuracy.mean)
    assert (bf16["precision"], bf16["n"], bf16["reached"], bf16["status"]) == ("bf16", 3, 1, "supported")
    assert bf16["accuracy"] == pytest.approx(0.9944)
    assert bf16["difference"] == pytest.approx(0.9944 - 0.9946)


def test_a_precision_alone_is_compared_with_nothing(five: Store) -> None:
    assert precision_effects(Report(gather(five, "mnist"), 0.0005)) == []
    rewrite(five, precision="bf16")
    assert precision_effects(Report(gather(five, "mnist"), 0.0005)) == []


def test_where_picks_a_protocol(five: Store, tmp_path: Path) -> None:
    other = write_rows(tmp_path / "other", [PRESET], seeds=3)
    rewrite(other, precision="bf16")
    both = together(tmp_path / "both", other, five)
    evidence = gather(both, "mnist", {"precision": "bf16"})
    assert (len(evidence.trials), evidence.protocol["precision"]) == (3, "bf16")
    with pytest.raises(UsageError, match="did you mean precision"):
        gather(both, "mnist", {"precison": "bf16"})
    with pytest.raises(NoRowsError, match="no such rows"):
        gather(both, "mnist", {"precision": "fp8"})


def test_a_network_that_is_not_todays_is_left_out(five: Store) -> None:
    lines = five.trials_path.read_text().splitlines()
    today = network_today(PRESET, "1x28x28", 10)
    lines[3] = lines[3].replace(str(today), "f" * 16)
    five.trials_path.write_text("\n".join(lines) + "\n")
    evidence = gather(five, "mnist", networks=network_today)
    assert evidence.rows(PRESET).index.tolist() == [0, 1, 3, 4]
    assert evidence.left_out == ("1 trial of networks or augmentations that are not today's",)


@pytest.mark.parametrize(
    ("column", "value"),
    [("architecture", "model99"), ("augmentation", "strong"), ("factor_layers", "10C3")],  # which model3 lacks
)
def test_unregistered_names_are_left_out(five: Store, column: str, value: str) -> None:
    frame = pd.read_csv(five.trials_path, dtype=str, keep_default_na=False)
    frame.loc[0, column] = value
    frame.to_csv(five.trials_path, index=False)
    assert len(gather(five, "mnist").trials) == 4
    frame[column] = value
    frame.to_csv(five.trials_path, index=False)
    with pytest.raises(NoRowsError, match="other networks"):
        gather(five, "mnist")


def test_what_did_not_finish_is_kept_apart(five: Store) -> None:
    frame = pd.read_csv(five.trials_path, dtype=str, keep_default_na=False)
    frame.loc[0, "status"] = "diverged"
    frame.loc[1, "status"] = "failed"
    frame.to_csv(five.trials_path, index=False)
    evidence = gather(five, "mnist")
    assert len(evidence.trials) == 3
    assert evidence.unfinished["status"].tolist() == ["diverged", "failed"]
    frame["status"] = "failed"
    frame.to_csv(five.trials_path, index=False)
    with pytest.raises(NoRowsError, match="no trial"):
        gather(five, "mnist")


def test_an_empty_store_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoRowsError, match="python -m bench run --all"):
        gather(Store(tmp_path / "mnist"), "mnist")


def test_details_of_unrecorded_trials_are_ignored(five: Store) -> None:
    before = len(gather(five, "mnist").correct)
    path = five.folder / "correct.csv"
    path.write_text(path.read_text() + "stranger,8,/w==\n")
    assert len(gather(five, "mnist").correct) == before


def test_a_trial_of_another_cell_is_another_cell(tmp_path: Path) -> None:
    [gap] = find_factors(["gap"])
    other = PRESET.with_level(gap, False)
    evidence = gather(write_rows(tmp_path / "two", [other, PRESET], seeds=2), "mnist")
    assert evidence.cells == (PRESET, other)
    assert evidence.rows(preset_cell("model1")).empty


def test_the_hardest_images_come_first(five: Store) -> None:
    evidence = gather(five, "mnist")
    hardest = evidence.hardest_images(10)
    shares = [share for _, share in hardest]
    assert shares == sorted(shares, reverse=True)
    _, right = evidence.bits(PRESET)
    index, share = hardest[-1]
    assert share == pytest.approx(1 - right[:, index].mean())


def test_rows_of_machines_with_other_bits_are_told_apart(five: Store) -> None:
    machines = five.folder / "machines.csv"
    header, known = machines.read_text().splitlines()
    trials = five.trials_path.read_text().splitlines()
    moved = [line.replace(",c,m,", ",c,w,") for line in trials[1:3]]
    five.trials_path.write_text("\n".join([trials[0], *moved, *trials[3:]]) + "\n")
    machines.write_text("\n".join([header, known, known.replace("m,", "w,", 1).replace("avx2", "avx512 bf16")]) + "\n")
    said = list(caveats(Report(gather(five, "mnist"), 0.0005)))
    assert (
        "A seed gives the same bits on machines of one kind only, and these rows come from several: 3 trials on avx2, "
        "PyTorch 2.15.0 and 2 trials on avx512 bf16, PyTorch 2.15.0." in said
    )
    machines.write_text("\n".join([header, known, known.replace("m,", "w,", 1)]) + "\n")
    assert not [text for text in caveats(Report(gather(five, "mnist"), 0.0005)) if "same bits" in text]


@pytest.mark.parametrize(("column", "instead"), [("parameters", "7617"), ("macs", "1485973")])
def test_sizes_that_are_not_the_networks_are_named(column: str, instead: str, tmp_path: Path) -> None:
    """Of a network that is today's: with others nothing can be compared."""
    store = write_rows(tmp_path / "mnist", [preset_cell("model1")], seeds=3, images=60)
    frame = pd.read_csv(store.trials_path, dtype=str, keep_default_na=False)
    frame.loc[1, column] = instead
    frame.to_csv(store.trials_path, index=False, lineterminator="\n")
    wrong = frame.iloc[1]
    with pytest.raises(StoreError) as error:
        todays_evidence(store, "mnist")
    assert str(error.value) == (
        f"{store.trials_path}: trial {wrong['trial']} has {int(wrong['parameters']):,} parameters and "
        f"{int(wrong['macs']):,} macs, its network 7,616 and 1,485,972: correct or delete the line"
    )
    frame.loc[1, "network"] = "another"
    frame.to_csv(store.trials_path, index=False, lineterminator="\n")
    assert len(todays_evidence(store, "mnist").trials) == 2


def test_the_rows_of_this_repository_have_the_sizes_of_their_networks() -> None:
    results = Path(__file__).parent.parent / "results" / "mnist"
    assert len(todays_evidence(Store(results), "mnist").trials) > 100
