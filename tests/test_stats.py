"""Statistics, against scipy, statsmodels, worked examples and simulations."""

import itertools
import math
import random
from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
import statsmodels.formula.api as smf
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pandas import DataFrame
from scipy import stats
from statsmodels.stats.multitest import multipletests

from bench.report.stats.chance import chance_limit, collapsed
from bench.report.stats.contrast import aligned, contrast
from bench.report.stats.estimate import Estimate, estimate, ratio
from bench.report.stats.factorial import Responses, complete_sets, interactions, main_effects, shapley
from bench.report.stats.noise import compare_networks, miss_rates, split_variance
from bench.report.stats.paired import (
    MOST_SEEDS,
    SeedsNeeded,
    compare,
    seeds_for_sign_flip,
    seeds_needed,
    sign_flip_p,
    smallest_effect_found,
    smallest_sign_flip_p,
    spread_range,
)
from bench.report.stats.verdict import Verdict, holm, judge, judge_family

TREATED = [0.9920, 0.9929, 0.9915, 0.9918, 0.9898]
BASELINE = [0.9891, 0.9888, 0.9893, 0.9930, 0.9895]


def interval(low: float, high: float, n: int = 5) -> Estimate:
    """An estimate with this 95 % interval."""
    error = (high - low) / 2 / float(stats.t.ppf(0.975, n - 1))
    return Estimate((low + high) / 2, error * math.sqrt(n), low, high, n, low, high, error, n - 1)


def by_seed(values: Sequence[float]) -> dict[int, float]:
    return dict(enumerate(values))


def test_an_estimate_is_scipys() -> None:
    own = estimate(TREATED)
    theirs = stats.ttest_1samp(TREATED, 0).confidence_interval(0.95)
    assert (own.low, own.high) == pytest.approx((theirs.low, theirs.high))
    assert own.sd == pytest.approx(stats.tstd(TREATED))
    assert (own.minimum, own.maximum, own.n) == (0.9898, 0.9929, 5)


@pytest.mark.parametrize("values", [[0.99], [0.99, 0.99, 0.99]])
def test_without_spread_there_is_no_interval(values: list[float]) -> None:
    own = estimate(values)
    assert own.mean == pytest.approx(0.99)
    assert not own.has_interval
    assert judge(own, 0.0005) == Verdict.INCONCLUSIVE


def test_nothing_has_no_mean() -> None:
    with pytest.raises(ValueError, match="no values"):
        estimate([])


@pytest.mark.parametrize("n", [3, 5, 10, 20])
@pytest.mark.parametrize(("accuracy", "images"), [(0.99, 10_000), (0.9946, 10_000), (0.97, 900)])
def test_intervals_cover_what_they_promise(n: int, accuracy: float, images: int) -> None:
    """Seeds differ by 0.06 points and each is measured on a test set: 6,000 cells near an accuracy of 1."""
    generator = np.random.default_rng(n)
    networks = generator.normal(accuracy, 0.0006, size=(6000, n)).clip(max=1)
    measured = generator.binomial(images, networks) / images
    covered = [e.low <= accuracy <= e.high for e in map(estimate, measured) if e.has_interval]
    assert len(covered) > 5900
    assert 0.93 <= np.mean(covered) <= 0.97


@pytest.mark.parametrize("n", [3, 5, 10, 20])
def test_paired_intervals_cover_what_they_promise(n: int) -> None:
    generator = np.random.default_rng(n)
    shared = generator.normal(0, 0.0005, size=(6000, n))
    treated = generator.binomial(10_000, 0.9930 + shared) / 10_000
    baseline = generator.binomial(10_000, 0.9915 + shared) / 10_000
    covered = [e.low <= 0.0015 <= e.high for e in map(estimate, treated - baseline) if e.has_interval]
    assert 0.93 <= np.mean(covered) <= 0.97


def test_a_comparison_is_scipys_paired_t_test() -> None:
    own = compare(by_seed(TREATED), by_seed(BASELINE))
    test = stats.ttest_rel(TREATED, BASELINE)
    theirs = test.confidence_interval(0.95)
    assert (own.difference.low, own.difference.high) == pytest.approx((theirs.low, theirs.high))
    assert own.difference.p == pytest.approx(test.pvalue)
    assert (own.treated, own.baseline) == (5, 5)
    assert own.shared == pytest.approx(np.array(TREATED) - np.array(BASELINE))
    assert own.correlation == pytest.approx(stats.pearsonr(TREATED, BASELINE).statistic)


def test_hedges_g_of_a_worked_example() -> None:
    """Mean 3, sd 1, so d = 3; the correction for 4 degrees of freedom is gamma(2) / (sqrt(2) gamma(1.5)) = 0.7979."""
    differences = np.array([3 - math.sqrt(2), 3, 3, 3, 3 + math.sqrt(2)])
    assert compare(by_seed(list(differences)), by_seed([0.0] * 5)).effect_size == pytest.approx(3 * 0.7979, abs=1e-3)


def test_without_a_shared_seed_it_is_welchs_test() -> None:
    own = compare(dict(zip(range(5, 10), TREATED, strict=True)), by_seed(BASELINE))
    test = stats.ttest_ind(TREATED, BASELINE, equal_var=False)
    theirs = test.confidence_interval(0.95)
    assert (own.difference.low, own.difference.high) == pytest.approx((theirs.low, theirs.high))
    assert own.difference.p == pytest.approx(test.pvalue)
    assert (own.shared, own.sign_flip_p, own.p_attainable) == ((), 1.0, 1.0)
    assert math.isnan(own.correlation)


def test_every_seed_counts_in_a_difference() -> None:
    more = [*BASELINE, 0.9884, 0.9890, 0.9899]
    own = compare(by_seed(TREATED), by_seed(more))
    assert own.difference.mean == pytest.approx(np.mean(TREATED) - np.mean(more))
    assert (own.treated, own.baseline, len(own.shared), own.difference.n) == (5, 8, 5, 5)
    shares = np.array(TREATED) / 5 - np.array(BASELINE) / 8
    variance = [5 * shares.var(ddof=1), 3 * np.var(more[5:], ddof=1) / 64]
    assert own.difference.error == pytest.approx(math.sqrt(sum(variance)))
    at_equal_spreads = [5 * (1 / 25 + 1 / 64), 3 / 64]
    freedoms = [sum(v) ** 2 / (v[0] ** 2 / 4 + v[1] ** 2 / 2) for v in (variance, at_equal_spreads)]
    assert own.difference.freedom == pytest.approx(min(freedoms))


def test_a_single_further_seed_varies_as_the_others_of_its_cell_do() -> None:
    own = compare(by_seed(TREATED), by_seed([*BASELINE, 0.9884]))
    assert own.difference.has_interval
    alone = compare(by_seed(TREATED), {7: 0.9884})
    assert not alone.difference.has_interval


def test_a_cell_without_values_has_no_difference() -> None:
    with pytest.raises(ValueError, match="no mean"):
        compare(by_seed(TREATED), {})


def test_equal_differences_have_an_interval_where_the_step_is_known() -> None:
    treated, baseline = by_seed([0.9925] * 5), by_seed([0.99] * 5)
    assert not compare(treated, baseline).difference.has_interval
    own = compare(treated, baseline, step=1e-4).difference
    reach = stats.t.ppf(0.975, 4) * 1e-4 / math.sqrt(5)
    assert (own.low, own.high) == pytest.approx((0.0025 - reach, 0.0025 + reach))
    assert judge(own, 0.0005) == Verdict.HELPS
    cell = estimate([0.99] * 5, step=1e-4)
    assert (cell.low, cell.high) == pytest.approx((0.99 - reach, 0.99 + reach))


@pytest.mark.parametrize("correlation", [-0.8, 0.0, 0.6, 0.95])
@pytest.mark.parametrize(("treated", "baseline"), [(5, 5), (5, 20), (20, 20)])
def test_differences_cover_what_they_promise(treated: int, baseline: int, correlation: float) -> None:
    generator = np.random.default_rng(0)
    draws = generator.multivariate_normal(
        [0, 0], [[1, correlation], [correlation, 1]], size=(2500, max(treated, baseline))
    )
    covered = []
    for draw in draws:
        values = draw.copy()
        values[treated:, 0], values[baseline:, 1] = math.nan, math.nan
        own = contrast((1, -1), values)
        covered.append(own.low <= 0 <= own.high)
    assert 0.93 <= np.mean(covered) <= 0.985


@given(st.lists(st.floats(-1, 1, allow_subnormal=False).map(lambda x: round(x, 4)), min_size=2, max_size=7))
def test_the_sign_flip_test_counts_every_pattern(differences: list[float]) -> None:
    array = np.array(differences)
    means = [np.mean(array * signs) for signs in product((1, -1), repeat=len(array))]
    extreme = np.mean([abs(mean) >= abs(array.mean()) - 1e-12 for mean in means])
    assert sign_flip_p(array) == pytest.approx(extreme)


def test_the_smallest_p_is_attained_and_never_beaten() -> None:
    for n in range(2, 9):
        assert sign_flip_p([0.001 * k for k in range(1, n + 1)]) == pytest.approx(smallest_sign_flip_p(n))
    assert smallest_sign_flip_p(5) == 0.0625
    assert seeds_for_sign_flip(0.05) == 6
    assert smallest_sign_flip_p(6) < 0.05 < smallest_sign_flip_p(5)


def test_many_seeds_take_random_patterns_and_stay_close() -> None:
    """17 differences have 131,072 patterns, of which 9,999 are tried: p stays within four standard errors."""
    differences = np.random.default_rng(1).normal(0.3, 1, 17)
    signs = np.array(list(product((1, -1), repeat=17)))
    exact = np.mean(np.abs(signs @ differences) >= abs(differences.sum()) - 1e-12)
    assert 0.01 < exact < 0.5
    assert abs(sign_flip_p(differences) - exact) < 4 * math.sqrt(2 * exact / 9_999)
    assert sign_flip_p(differences) == sign_flip_p(differences)


def test_no_difference_at_all_is_no_evidence() -> None:
    assert sign_flip_p([0.0, 0.0, 0.0]) == 1.0


@pytest.mark.parametrize("effect", [5e-324, 1e-300, 1e-15, 1e-9])
def test_no_effect_is_too_small_to_count_the_seeds_for(effect: float) -> None:
    assert seeds_needed(effect, interval(-0.001, 0.001)).usual == MOST_SEEDS


@pytest.mark.parametrize("shift", [0.0, 0.2, 0.5, -0.5])
@pytest.mark.parametrize("n", [17, 60])
def test_random_patterns_give_what_scipys_permutation_test_gives(n: int, shift: float) -> None:
    differences = np.random.default_rng(n).normal(shift, 1, n)
    result = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        n_resamples=9_999,
        vectorized=True,
        rng=np.random.default_rng(1),
    )
    error = math.sqrt(result.pvalue * (1 - result.pvalue / 2) / 2 / 9_999) * 2
    assert sign_flip_p(differences) == pytest.approx(result.pvalue, abs=5 * error + 2e-4)


def test_holm_of_a_worked_example() -> None:
    """Holm 1979's steps by hand: 4 x 0.005, 3 x 0.01, 2 x 0.03, 1 x 0.04 and never below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_holm_is_statsmodels_holm() -> None:
    for p_values in np.random.default_rng(0).beta(0.3, 1, (5, 17)).round(2):
        assert holm(list(p_values)) == pytest.approx(multipletests(p_values, method="holm")[1])


def spread(sd: float, n: int) -> Estimate:
    """An estimate of 0 from `n` values with this standard deviation."""
    reach = float(stats.t.ppf(0.975, n - 1)) * sd / math.sqrt(n)
    return interval(-reach, reach, n)


def test_power_is_what_simulated_experiments_find() -> None:
    """R's power.t.test(n=5, power=0.8, type='paired') gives delta 1.68 sd; 4,000 simulated experiments agree."""
    effect = smallest_effect_found(spread(1.0, 5))
    assert effect == pytest.approx(1.682, abs=0.001)
    generator = np.random.default_rng(0)
    found = [estimate(row).low > 0 for row in generator.normal(effect, 1, size=(4000, 5))]
    assert np.mean(found) == pytest.approx(0.8, abs=0.02)
    assert smallest_effect_found(estimate([1.0])) == math.inf


@pytest.mark.parametrize(("effect", "sd"), [(0.10, 0.06), (0.05, 0.06), (0.03, 0.06), (0.02, 0.045)])
def test_the_seeds_needed_are_the_fewest_that_do(effect: float, sd: float) -> None:
    n = seeds_needed(effect, spread(sd, 5)).usual
    assert smallest_effect_found(spread(sd, n)) <= effect < smallest_effect_found(spread(sd, n - 1))


def test_the_seeds_needed_are_known_to_a_range() -> None:
    """The sd of 5 values is known to a factor of 0.6 to 2.87 (chi-squared with 4 degrees of freedom)."""
    assert spread_range(spread(1.0, 5)) == pytest.approx((0.599, 2.874), abs=0.001)
    needed = seeds_needed(0.05, spread(0.06, 5), tests=16)
    assert needed.low < needed.usual < needed.high
    assert needed == SeedsNeeded(needed.usual, needed.low, needed.high)
    assert needed.low == seeds_needed(0.05, spread(0.06 * 0.5991, 5), tests=16).usual


@pytest.mark.parametrize("sd", [0.0006, 0.001])
def test_the_verdict_finds_an_effect_with_the_advertised_seeds(sd: float) -> None:
    """Among 16 contrasts one is as large as the margin: `judge_family` says so four times in five."""
    margin, family = 0.0005, 16
    n = seeds_needed(margin, spread(sd, 5), family).usual
    generator = np.random.default_rng(0)
    found = []
    for _ in range(300):
        values = generator.normal(0, sd, (family, n))
        values[0] += margin
        found.append(judge_family([estimate(row) for row in values], margin)[0].verdict == Verdict.HELPS)
    assert 0.74 <= np.mean(found) <= 0.9


@pytest.mark.parametrize(("toggles", "presets", "correlation"), [(5, 5, 0.5), (5, 20, 0.0), (5, 20, 0.5)])
def test_false_verdicts_are_rare_in_the_whole_family(toggles: int, presets: int, correlation: float) -> None:
    """Three models with 5, 5 and 6 toggles, each compared with its model's preset, and no technique does anything: a
    report says helps or hurts of any in at most one of twenty. Alone, each contrast would be called so 5 % of the time,
    and one at least in about half of the reports."""
    generator, reports = np.random.default_rng(0), 1000
    any_false, any_alone = 0, 0
    for _ in range(reports):
        differences = []
        for count in (5, 5, 6):
            seeds = generator.normal(0, math.sqrt(correlation), presets)
            noise = generator.normal(0, math.sqrt(1 - correlation), (count + 1, presets))
            cells = noise + seeds
            differences += [compare_quickly(cell[:toggles], cells[0]) for cell in cells[1:]]
        verdicts = [judgement.verdict for judgement in judge_family(differences, 0.0)]
        any_false += any(verdict in (Verdict.HELPS, Verdict.HURTS) for verdict in verdicts)
        any_alone += any(difference.p < 0.05 for difference in differences)
    assert any_false / reports <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / reports)
    assert any_alone / reports > 0.3


def compare_quickly(treated: NDArray[np.float64], baseline: NDArray[np.float64]) -> Estimate:
    """The difference alone, without the sign-flip test."""
    return contrast((1, -1), aligned([by_seed(list(treated)), by_seed(list(baseline))]))


def test_false_equivalence_is_rare_in_the_whole_family() -> None:
    """Every difference is as large as the margin: none is equivalent, and none is called so in 95 % of reports."""
    generator, reports, margin = np.random.default_rng(0), 400, 1.0
    false = 0
    for _ in range(reports):
        values = generator.normal(margin, 0.5, (16, 20))
        judgements = judge_family([estimate(row) for row in values], margin)
        false += any(judgement.verdict == Verdict.EQUIVALENT for judgement in judgements)
    assert false / reports <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / reports)


def test_what_stands_out_alone_is_tentative_among_many() -> None:
    """p is 0.01 alone, and 0.16 among 16."""
    found = interval(0.0005, 0.0027)
    p = found.p
    assert 0.05 / 16 < p < 0.05
    assert judge(found, 0.0005) == Verdict.HELPS
    others = [interval(-0.002, 0.002)] * 15
    first, *rest = judge_family([found, *others], 0.0005)
    assert first.verdict == Verdict.TENTATIVE
    assert first.p == pytest.approx(16 * p)
    assert {judgement.verdict for judgement in rest} == {Verdict.INCONCLUSIVE}


def test_a_training_that_ends_at_chance_is_told_from_one_that_learned() -> None:
    """Of 900 images in ten classes a guess gets up to 108 right in 97.5 % of cases."""
    assert chance_limit(0.1, 1 / 900) == pytest.approx(stats.binom.ppf(0.975, 900, 0.1) / 900)
    assert collapsed(np.array([0.1, 0.11, 0.13, 0.98]), 0.1, 1 / 900) == 2
    assert collapsed(np.array([0.1, 0.11]), 0.1, 0.0) == 1


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.0010, 0.0032, Verdict.HELPS),
        (-0.0032, -0.0010, Verdict.HURTS),
        (-0.0004, 0.0005, Verdict.EQUIVALENT),
        (0.0001, 0.0004, Verdict.EQUIVALENT),
        (-0.0010, 0.0032, Verdict.INCONCLUSIVE),
        (0.0001, 0.0007, Verdict.HELPS),
        (-0.0001, 0.0011, Verdict.INCONCLUSIVE),
        (0.0002, 0.0010, Verdict.HELPS),
    ],
)
def test_verdicts(low: float, high: float, verdict: Verdict) -> None:
    assert judge(interval(low, high), 0.0005) == verdict


def test_ratios_are_geometric() -> None:
    own = ratio([110, 120, 90], [100, 100, 100])
    assert own.mean == pytest.approx((1.1 * 1.2 * 0.9) ** (1 / 3))
    back = ratio([100, 100, 100], [110, 120, 90])
    assert (back.low, back.high) == pytest.approx((1 / own.high, 1 / own.low))


def test_seed_noise_and_test_set_noise_are_told_apart() -> None:
    """Images missed at random add test-set noise only; a shift of a network's accuracy is seed noise."""
    generator = np.random.default_rng(0)
    same = split_variance(generator.random((400, 2000)) < 0.99)
    assert same.test_set == pytest.approx(math.sqrt(0.99 * 0.01 / 2000), rel=0.1)
    chance = math.sqrt(2 / 399) * same.observed**2
    assert same.seed**2 < 3 * chance
    skills = generator.normal(0.95, 0.01, size=(400, 1))
    differing = split_variance(generator.random((400, 2000)) < skills)
    assert differing.seed == pytest.approx(0.01, rel=0.1)
    assert differing.observed**2 == pytest.approx(differing.seed**2 + differing.test_set**2)


def test_another_test_set_moves_the_mean_by_its_sampling_error() -> None:
    generator = np.random.default_rng(0)
    hard = generator.random(5000) < 0.02
    split = split_variance(np.tile(~hard, (5, 1)))
    assert split.observed == 0
    assert split.sampling == pytest.approx(math.sqrt(0.02 * 0.98 / 5000), rel=0.15)


def test_mcnemar_is_a_binomial_test_of_the_disagreements() -> None:
    first = np.array([True] * 90 + [False] * 10)
    second = np.array([True] * 80 + [False] * 10 + [True] * 3 + [False] * 7)
    own, same = compare_networks(np.stack([first, first]), np.stack([second, first]))
    assert (own.only_first, own.only_second) == (10, 3)
    assert own.p == pytest.approx(stats.binomtest(3, 13).pvalue)
    assert same.p == 1.0
    assert miss_rates([np.stack([first, second]), first[None]])[[0, 85, 99]].tolist() == pytest.approx([0, 1 / 3, 1])


def sets_by_trying_all(
    seeds: dict[tuple[int, ...], list[frozenset[int]]], levels: list[int]
) -> list[tuple[tuple[int, ...], frozenset[int]]]:
    """Every set of factors, the largest first: what `complete_sets` finds without trying them."""
    found: list[tuple[tuple[int, ...], frozenset[int]]] = []
    for size in range(len(levels), 1, -1):
        for places in itertools.combinations(range(len(levels)), size):
            parts = [part for length in range(size + 1) for part in itertools.combinations(places, length)]
            whole = all(len(seeds.get(part, [])) == math.prod(levels[i] - 1 for i in part) for part in parts)
            if whole and not any(set(places) <= set(larger) for larger, _ in found):
                shared = frozenset.intersection(*(own for part in parts for own in seeds[part]))
                if len(shared) > 1:
                    found.append((places, shared))
    return found


@pytest.mark.parametrize("number", range(200))
def test_complete_sets_are_those_that_trying_all_finds(number: int) -> None:
    generator = np.random.default_rng(number)
    levels = [int(count) for count in generator.integers(2, 4, size=4)]
    share, most = generator.uniform(0.6, 1.0), int(generator.integers(2, 5))
    seeds: dict[tuple[int, ...], list[frozenset[int]]] = {}
    for cell in itertools.product(*map(range, levels)):
        if generator.random() < share or number % 3 == 0:
            own = frozenset(range(int(generator.integers(1 if number % 2 else 2, most + 1))))
            seeds.setdefault(tuple(place for place, level in enumerate(cell) if level), []).append(own)
    assert complete_sets(seeds, levels) == sets_by_trying_all(seeds, levels)


def test_thirty_factors_take_as_long_as_there_are_cells() -> None:
    """Trying all sets of 30 factors takes for ever: there are a billion."""
    both = frozenset({0, 1})
    toggles: dict[tuple[int, ...], list[frozenset[int]]] = {(): [both], **{(place,): [both] for place in range(30)}}
    together = {part: [both] for size in (2, 3) for part in itertools.combinations((3, 17, 29), size)}
    assert complete_sets(toggles | together, [2] * 30) == [((3, 17, 29), both)]
    eleven = {part: [both] for size in range(12) for part in itertools.combinations(range(11), size)}
    assert complete_sets(toggles | eleven, [2] * 30) == [(tuple(range(11)), both)]


def test_factorial_effects_are_those_of_a_linear_model() -> None:
    """statsmodels' ordinary least squares with sum-to-zero coding, on a 2 x 2 x 3 design over six seeds."""
    generator = np.random.default_rng(0)
    levels = [("off", "on"), ("a", "b"), (0, 1, 2)]
    drawn = {combination: generator.normal(0, 1, 6) for combination in product(*levels)}
    responses = Responses(list(drawn), np.array(list(drawn.values())).T)
    rows = [{"x": x, "y": y, "z": z, "value": value} for (x, y, z), values in drawn.items() for value in values]
    frame = DataFrame(rows)
    model = smf.ols("value ~ C(x, Sum) * C(y, Sum) * C(z, Sum)", frame).fit()
    means = {(e.factor, e.level): e.effect.mean for e in main_effects(responses, levels)}
    assert means[0, "on"] == pytest.approx(-2 * model.params["C(x, Sum)[S.off]"])
    found = {(i.factors, i.levels): i.effect.mean for i in interactions(responses, levels)}
    assert found[(0, 1), ("on", "b")] == pytest.approx(4 * model.params["C(x, Sum)[S.off]:C(y, Sum)[S.a]"])
    assert len(means) == 4
    assert len(found) == 1 + 2 + 2
    by_hand = np.mean([drawn["on", y, z] - drawn["off", y, z] for y in "ab" for z in (0, 1, 2)], axis=0)
    [main] = [e.effect for e in main_effects(responses, levels) if e.factor == 0]
    assert (main.low, main.high) == pytest.approx((estimate(by_hand).low, estimate(by_hand).high))


def test_shapley_shares_sum_to_the_gain_and_ignore_the_order() -> None:
    generator = np.random.default_rng(0)
    players = ["a", "b", "c"]
    subsets = [
        frozenset(p for p, there in zip(players, mask, strict=True) if there) for mask in product((0, 1), repeat=3)
    ]
    values = {subset: by_seed(list(generator.normal(0, 1, 5))) for subset in subsets}
    shares = shapley(values, players)
    gain = np.mean(list(values[frozenset(players)].values())) - np.mean(list(values[frozenset()].values()))
    assert sum(share.mean for share in shares.values()) == pytest.approx(gain)
    shuffled = random.Random(0).sample(players, 3)
    assert shapley(values, shuffled)["a"].mean == pytest.approx(shares["a"].mean)


def test_shapley_credits_what_is_additive_and_splits_what_is_joint() -> None:
    """a adds 1 alone; b and c add 2 only together: they share it."""
    values = {
        frozenset(s): {seed: ("a" in s) + 2.0 * ({"b", "c"} <= set(s)) + seed for seed in range(3)}
        for s in ["", "a", "b", "c", "ab", "ac", "bc", "abc"]
    }
    shares = shapley(values, ["a", "b", "c"])
    assert [shares[player].mean for player in "abc"] == pytest.approx([1, 1, 1])
