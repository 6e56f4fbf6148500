"""Candidate pools by the published rule, against the rule written out again in plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import routereval as rv
from routereval.data.pools import PublishedRule, Region, select_pools
from routereval.errors import DataError


def matrix(dense: NDArray[np.floating]) -> rv.ScoreMatrix:
    n, m = dense.shape
    return rv.ScoreMatrix.from_dense(dense, [str(i) for i in range(n)], [f"m{i}" for i in range(m)], missing=True)


def nested(solved: list[int], prompts: int = 10) -> rv.ScoreMatrix:
    """Model i solves the first ``solved[i]`` prompts, so the oracle of a pool is its best model."""
    return matrix((np.arange(prompts)[:, None] < np.array(solved)).astype(float))


def by_the_rule(dense: NDArray[np.floating], sizes: tuple[int, ...], seed: int) -> dict[tuple[str, int], list[str]]:
    """The facts of the published pools, loop by loop: `numpy.random.choice` per group, one pool's oracle at a time."""
    rng = np.random.RandomState(seed)
    accuracy = [float(np.nanmean(column)) for column in dense.T.astype(np.float64)]
    ranks = sorted(range(len(accuracy)), key=lambda i: (accuracy[i], i))

    def oracle(pool: list[int]) -> float:
        best = [max((dense[j, i] for i in pool if not np.isnan(dense[j, i])), default=None) for j in range(len(dense))]
        seen = [float(value) for value in best if value is not None]
        return sum(seen) / len(seen)

    def first_best(candidates: list[list[int]]) -> list[int]:
        return max(candidates, key=oracle)  # max keeps the first of equals

    low = next(rank for rank, i in enumerate(ranks) if accuracy[i] > 0.1)
    high = next((rank for rank, i in enumerate(ranks) if accuracy[i] > 0.9), len(ranks))
    pools = {}
    for m in sizes:
        width = max(len(ranks) // 5, m)
        for strategy, (start, stop) in {"all_strong": (high - width, high), "all_weak": (low, low + width)}.items():
            pools[strategy, m] = first_best([ranks[first : first + m] for first in range(start, stop - m + 1)])
        share, rest = divmod(high - low, m)
        cuts = [low + group * share + min(group, rest) for group in range(m + 1)]
        groups = [list(range(cuts[g], cuts[g + 1])) for g in range(m)]
        pools["strong_to_weak", m] = first_best(
            [[ranks[int(rng.choice(group))] for group in groups] for _ in range(1000)]
        )
    return {key: [f"m{i}" for i in pool] for key, pool in pools.items()}


@pytest.mark.parametrize("holes", [0.0, 0.2])
@pytest.mark.parametrize("seed", [42, 7])
def test_pools_are_those_of_the_rule_written_out_in_loops(seed: int, holes: float) -> None:
    rng = np.random.default_rng(seed)
    dense = (rng.random((30, 41)) < rng.permutation(np.linspace(0, 1, 41))).astype(np.float64)
    dense[rng.random(dense.shape) < holes] = np.nan
    pools = select_pools(matrix(dense), (3, 7), seed=seed)
    assert {key: list(pool.model_ids) for key, pool in pools.items()} == by_the_rule(dense, (3, 7), seed)


def test_the_limits_are_just_above_a_tenth_and_up_to_nine_tenths() -> None:
    # Means 0, 0.1, ... 1: 0.1 is not above the lower limit, 0.9 not above the upper one.
    pools = select_pools(nested(list(range(11))), (3, 8))
    assert pools["all_weak", 3].model_ids == ("m2", "m3", "m4")
    assert pools["all_strong", 3].model_ids == ("m7", "m8", "m9")
    everyone = tuple(f"m{i}" for i in range(2, 10))
    assert {pools[key].model_ids for key in pools if key[1] == 8} == {everyone}


def test_where_no_model_is_above_nine_tenths_the_strong_ones_are_the_last() -> None:
    assert select_pools(nested([2, 3, 4, 5, 6]), (2,))["all_strong", 2].model_ids == ("m3", "m4")


def test_among_windows_the_one_that_solves_most_together_wins() -> None:
    # Fifteen models that all solve half of the prompts; a fifth of the ranks are three, so two windows of two.
    dense = np.tile([1.0, 1, 0, 0], (15, 1)).T
    dense[:, 2] = dense[:, 13] = [0, 1, 1, 0]
    pools = select_pools(matrix(dense), (2,))
    assert pools["all_weak", 2].model_ids == ("m1", "m2")  # m0 and m1 solve 2 of 4, m1 and m2 solve 3
    assert pools["all_strong", 2].model_ids == ("m12", "m13")  # as many as m13 and m14: the first wins


def test_the_draw_that_solves_most_wins_and_the_first_among_equals() -> None:
    solved = [2, 3, 4, 5, 6, 7]
    draws = np.random.RandomState(5)
    drawn = [(draws.choice([0, 1, 2]), draws.choice([3, 4, 5])) for _ in range(1000)]
    first = next(pair for pair in drawn if pair[1] == 5)
    pool = select_pools(nested(solved), (2,), seed=5)["strong_to_weak", 2]
    assert pool.model_ids == tuple(f"m{i}" for i in first)


def test_models_are_in_ascending_mean_and_equal_ones_in_the_order_they_came() -> None:
    assert select_pools(nested([5, 2, 5, 3]), (4,))["strong_to_weak", 4].model_ids == ("m1", "m3", "m0", "m2")


def test_pools_come_size_by_size_and_know_their_strategy() -> None:
    pools = select_pools(nested(list(range(11))), (3, 2))
    assert list(pools) == [(strategy, m) for m in (3, 2) for strategy in ("all_strong", "all_weak", "strong_to_weak")]
    assert all((pool.strategy, len(pool)) == key for key, pool in pools.items())


def test_a_generator_goes_on_where_it_was() -> None:
    dense = (np.random.default_rng(0).random((40, 30)) < 0.5).astype(float)
    rng = np.random.RandomState(3)
    one_by_one = [select_pools(matrix(dense), (m,), seed=rng)["strong_to_weak", m] for m in (3, 5)]
    together = select_pools(matrix(dense), (3, 5), seed=3)
    assert one_by_one == [together["strong_to_weak", m] for m in (3, 5)]


def test_a_model_that_was_never_observed_is_in_no_pool() -> None:
    dense = nested([2, 3, 4, 5, 6, 7]).dense().astype(float)
    dense[:, 5] = np.nan
    pools = select_pools(matrix(dense), (2, 5))
    assert pools["all_strong", 2].model_ids == ("m3", "m4")
    assert all("m5" not in pool.model_ids for pool in pools.values())
    with pytest.raises(DataError, match="there are only 5 models"):
        select_pools(matrix(dense), (6,))


def test_the_scores_that_are_not_shown_have_no_say() -> None:
    # Left to the first ten prompts m0 is the weakest; on all twenty it is the strongest below 0.9.
    seen = np.arange(10)[:, None] < np.array([2, 3, 4, 5, 6])
    hidden = np.zeros((10, 5))
    hidden[:, 0] = 1
    scores = matrix(np.vstack([seen, hidden]).astype(float))
    assert select_pools(scores.rows(np.arange(10)), (2,))["all_weak", 2].model_ids == ("m0", "m1")
    assert select_pools(scores, (2,))["all_strong", 2].model_ids == ("m4", "m0")


@pytest.mark.parametrize(
    ("solved", "m", "message"),
    [
        (
            [0, 1, 0, 1],
            2,
            r"no model has a mean score above 0\.1 \(the best of 4 has 0\.100\), so the published rule makes no pool",
        ),
        (
            list(range(11)),
            9,
            r"no pool all_strong/9: only 8 of 11 models have a mean score between 0\.1 and 0\.9 "
            r"\(2 at or below, 1 above\)",
        ),
        ([10, 10, 10], 2, r"no pool all_strong/2: only 0 of 3 models .* \(0 at or below, 3 above\)"),
        ([2, 3, 4], 5, "no pool all_strong/5: there are only 3 models; ask for fewer candidates"),
        ([2, 3, 4], 1, "a pool of 1 models leaves nothing to route"),
        # A fifth of 15 ranks are 3, and only 2 models are at or below 0.9: the region begins before the first.
        (
            [3, 4] + [10] * 13,
            2,
            r"no pool all_strong/2: the published region is 3 ranks of 15 models, but only 2 have a mean score at or "
            r"below 0\.9; the fallback looks at these 2",
        ),
        # And here only 2 are above 0.1.
        (
            [3, 4] + [1] * 13,
            2,
            r"no pool all_weak/2: the published region is 3 ranks of 15 models, but only"
            r" 2 have a mean score above 0\.1",
        ),
    ],
)
def test_a_pool_that_cannot_be_made_says_which_limit_was_hit(solved: list[int], m: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        select_pools(nested(solved), (m,))


def test_a_region_that_reaches_past_the_other_limit_is_looked_at_as_published() -> None:
    # Ranks by mean: twelve at 0.1, m12 at 0.3, m13 at 0.4, m14 at 1. A fifth are 3 ranks: those up to 0.9 are 11 to 13.
    scores = nested([1] * 12 + [3, 4, 10])
    assert PublishedRule(scores).region("all_strong", 2) == Region(11, 14)
    assert PublishedRule(scores).region("all_weak", 2) == Region(12, 15)


def test_the_fallback_drops_the_limits_of_a_pool_for_which_too_few_models_qualify() -> None:
    rule = PublishedRule(nested([0, 1, 0, 1]), fallback=True)
    dropped = "limits 0.1 and 0.9 dropped"
    assert rule.region("all_weak", 2) == Region(0, 2, dropped)
    assert rule.region("all_strong", 2) == Region(2, 4, dropped)
    assert rule.region("strong_to_weak", 3) == Region(0, 4, dropped)
    assert rule.pool("all_strong", 2).model_ids == ("m1", "m3")
    with pytest.raises(DataError, match="there are only 4 models"):
        rule.pool("all_weak", 5)
    # Where enough qualify, nothing is given up.
    enough = PublishedRule(nested(list(range(11))), fallback=True)
    assert enough.region("all_weak", 3) == Region(2, 5)
    assert enough.region("all_weak", 9) == Region(0, 9, dropped)


def test_the_fallback_cuts_a_region_where_the_models_end() -> None:
    strong = PublishedRule(nested([3, 4] + [10] * 13), fallback=True)
    assert strong.region("all_strong", 2) == Region(0, 2, "region of 3 ranks cut to the 2 there are")
    assert strong.pool("all_strong", 2).model_ids == ("m0", "m1")
    weak = PublishedRule(nested([3, 4] + [1] * 13), fallback=True)
    assert weak.region("all_weak", 2) == Region(13, 15, "region of 3 ranks cut to the 2 there are")
    assert weak.region("strong_to_weak", 2) == Region(13, 15)


def test_the_fallback_leaves_out_models_that_were_never_observed() -> None:
    dense = nested([0, 0, 10, 10]).dense().astype(float)
    dense[:, 1] = np.nan
    rule = PublishedRule(matrix(dense), fallback=True)
    assert rule.pool("all_weak", 3).model_ids == ("m0", "m2", "m3")
    with pytest.raises(DataError, match="there are only 3 models"):
        rule.pool("all_weak", 4)
