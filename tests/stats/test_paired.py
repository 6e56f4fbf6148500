"""McNemar's test and flipping signs, beside statsmodels, SciPy and counting by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import permutation_test
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar

from routereval.stats.paired import mcnemar, sign_flip, sign_flip_exactly

ONE_PAIR = np.array([[0, 1]])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def against_zero(difference: np.ndarray) -> np.ndarray:
    return np.stack([difference, np.zeros(len(difference))], axis=1)


def enumerated(difference: np.ndarray) -> float:
    """p over every pattern of signs, tried one after the other."""
    found = abs(difference.sum())
    sums = [abs(np.dot(signs, difference)) for signs in product([1, -1], repeat=len(difference))]
    return float(np.mean([one >= found - 1e-9 for one in sums]))


@pytest.mark.parametrize(("b", "c"), [(9, 2), (0, 5), (7, 7), (1, 0), (60, 35)])
def test_mcnemar_is_that_of_statsmodels(b: int, c: int) -> None:
    found = mcnemar(np.array(b), np.array(c))
    assert found == pytest.approx(their_mcnemar([[50, b], [c, 20]], exact=True).pvalue, rel=1e-12)


def test_mcnemar_by_hand() -> None:
    # 1 against 5 of 6: 2 (1 + 6) / 2^6. None against 6: 2 / 2^6. None differ: 1.
    found = mcnemar(np.array([1, 0, 0]), np.array([5, 6, 0]))
    np.testing.assert_allclose(found, [14 / 64, 2 / 64, 1.0])


def test_with_few_differences_every_pattern_of_signs_is_tried() -> None:
    difference = rng(1).normal(0.4, 1, 9)
    found = sign_flip(against_zero(difference), ONE_PAIR, rng())
    assert found.exact.all()
    assert found.differ[0] == 9
    assert found.p[0] == pytest.approx(enumerated(difference), rel=1e-12)
    theirs = permutation_test(
        (difference, np.zeros(9)),
        lambda x, y, axis: (x - y).sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
    )
    assert found.p[0] == pytest.approx(theirs.pvalue, rel=1e-9)


def test_clusters_without_a_difference_do_not_make_the_test_inexact() -> None:
    few = np.concatenate([[0.5, 0.25, -0.125], np.zeros(500)])
    found = sign_flip(against_zero(few), ONE_PAIR, rng())
    assert (found.exact[0], found.differ[0]) == (True, 3)
    # |sum| is 0.625; of 4 patterns up to the sign 0.875 and 0.625 are as far: 2 of 4.
    assert found.p[0] == pytest.approx(0.5)


def test_random_flips_come_near_all_patterns_and_never_say_zero() -> None:
    difference = rng(2).normal(0.35, 1, 18)
    exact = enumerated(difference)
    found = sign_flip(against_zero(difference), ONE_PAIR, rng(), draws=9999)
    assert not found.exact[0]
    # Three standard errors of a share of 9,999 draws.
    assert found.p[0] == pytest.approx(exact, abs=3 * np.sqrt(exact * (1 - exact) / 9999))
    sure = sign_flip(against_zero(np.ones(40)), ONE_PAIR, rng(), draws=999)
    assert sure.p[0] == pytest.approx(1 / 1000)


def test_the_same_seed_gives_the_same_p_and_blocks_do_not_matter_to_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = rng(3).random((200, 4))
    pairs = np.array([[0, 1], [2, 3], [0, 3]])
    first = sign_flip(sums, pairs, rng(5))
    np.testing.assert_array_equal(sign_flip(sums, pairs, rng(5)).p, first.p)
    monkeypatch.setattr("routereval.stats.paired._BLOCK", 200 * 13)
    np.testing.assert_allclose(sign_flip(sums, pairs, rng(5)).p, first.p, atol=0.02)


def test_p_is_uniform_where_nothing_differs_in_truth() -> None:
    one = rng(4)
    p = [sign_flip(one.random((60, 2)), ONE_PAIR, one, draws=199).p[0] for _ in range(400)]
    # 5 % of 400 are 20, with a standard deviation of 4.4.
    assert 7 <= sum(value <= 0.05 for value in p) <= 33
    assert np.mean(p) == pytest.approx(0.5, abs=0.06)


def test_routers_that_are_equal_have_p_1() -> None:
    same = rng(5).random((30, 1)) / 3
    for test in (sign_flip(np.repeat(same, 2, axis=1), ONE_PAIR, rng()), sign_flip_exactly(np.ones((5, 2)), ONE_PAIR)):
        assert (test.p[0], test.differ[0], test.exact[0]) == (1.0, 0, True)


def test_whole_numbers_are_exact_however_many_differ() -> None:
    one = rng(6)
    few = one.integers(-3, 5, 10)
    assert sign_flip_exactly(against_zero(few.astype(float)), ONE_PAIR).p[0] == pytest.approx(enumerated(few), rel=1e-9)
    many = one.integers(-2, 3, 300).astype(float)
    exact, drawn = sign_flip_exactly(against_zero(many), ONE_PAIR), sign_flip(against_zero(many), ONE_PAIR, one, 39_999)
    assert not exact.mcnemar[0]
    assert drawn.p[0] == pytest.approx(exact.p[0], abs=3 * 0.5 / 200)


def test_with_one_prompt_per_cluster_it_is_mcnemar() -> None:
    difference = np.array([1.0] * 9 + [-1.0] * 2 + [0.0] * 30)
    found = sign_flip_exactly(against_zero(difference), ONE_PAIR)
    assert found.mcnemar[0]
    assert found.p[0] == pytest.approx(their_mcnemar([[30, 9], [2, 0]], exact=True).pvalue, rel=1e-12)
    assert found.p[0] == pytest.approx(enumerated(difference[:11]), rel=1e-12)


def test_a_very_small_p_is_that_of_one_pattern_and_its_opposite() -> None:
    found = sign_flip_exactly(against_zero(np.full(90, 2.0)), ONE_PAIR)
    assert found.p[0] == pytest.approx(2.0**-89, rel=1e-9)


def test_three_clusters_cannot_be_significant() -> None:
    assert sign_flip_exactly(against_zero(np.array([40.0, 50.0, 60.0])), ONE_PAIR).p[0] == pytest.approx(0.25)
