"""What choosing in hindsight is worth: biased where it is scored on what it saw, not where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from routereval.stats.noisy_oracle import REPEATS, hindsight, split_half


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def coins(seed: int, n: int = 60, m: int = 20, p: float = 0.5) -> np.ndarray:
    return (rng(seed).random((n, m)) < p).astype(float)


def test_hindsight_takes_the_best_model_of_each_group() -> None:
    scores = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_array_equal(hindsight(scores, np.zeros(5, dtype=np.intp)), [1, 1, 0, 0, 1])
    np.testing.assert_array_equal(hindsight(scores, np.array([7, 7, 3, 3, 3])), [1, 1, 1, 1, 0])


def test_two_prompts_are_scored_with_what_the_other_chose() -> None:
    scores = np.array([[1.0, 0.0], [0.25, 0.75]])
    found = split_half(scores, np.zeros(2, dtype=np.intp), np.arange(2), rng())
    # The first chooses model 0, which scores .25 on the second; the second model 1, which scores 0 on the first.
    np.testing.assert_allclose(found, np.tile([[0.0], [0.25]], REPEATS))


def test_where_all_models_are_equal_hindsight_flatters_and_the_other_half_does_not() -> None:
    observed, corrected = [], []
    for seed in range(150):
        scores = coins(seed)
        groups = np.zeros(60, dtype=np.intp)
        observed.append(hindsight(scores, groups).mean())
        corrected.append(split_half(scores, groups, np.arange(60), rng(seed), repeats=20).mean())
    # The best of 20 means of 60 coins is 1.87 standard errors of 0.0645 above a half.
    assert np.mean(observed) == pytest.approx(0.5 + 1.87 * 0.0645, abs=0.01)
    assert abs(np.mean(corrected) - 0.5) < 3 * np.std(corrected) / np.sqrt(150)
    assert np.std(corrected) / np.sqrt(150) < 0.006


def test_so_it_is_for_a_choice_in_every_subset() -> None:
    groups = np.repeat(np.arange(6), 10)
    observed, corrected = [], []
    for seed in range(150):
        scores = coins(seed)
        observed.append(hindsight(scores, groups).mean())
        corrected.append(split_half(scores, groups, np.arange(60), rng(seed), repeats=20).mean())
    assert np.mean(observed) > 0.75
    assert abs(np.mean(corrected) - 0.5) < 3 * np.std(corrected) / np.sqrt(150)


def test_where_models_do_have_their_subjects_the_other_half_finds_them() -> None:
    groups = np.repeat(np.arange(2), 100)
    strong = np.where(groups[:, None] == np.arange(2), 0.9, 0.3)
    scores = (rng(1).random((200, 2)) < strong).astype(float)
    by_subset = split_half(scores, groups, np.arange(200), rng())
    single = split_half(scores, np.zeros(200, dtype=np.intp), np.arange(200), rng())
    assert by_subset.mean() == pytest.approx(0.9, abs=0.06)
    assert single.mean() == pytest.approx(0.6, abs=0.08)


def test_near_duplicates_stay_on_one_side() -> None:
    # Every question is asked twice and answered alike: split between the halves, luck on the one is luck on the other.
    twice = np.repeat(np.arange(30), 2)
    together, apart = [], []
    for seed in range(80):
        scores = coins(seed, 30, 30)[twice]
        groups = np.zeros(60, dtype=np.intp)
        together.append(split_half(scores, groups, twice, rng(seed), repeats=20).mean())
        apart.append(split_half(scores, groups, np.arange(60), rng(seed), repeats=20).mean())
    assert abs(np.mean(together) - 0.5) < 3 * np.std(together) / np.sqrt(80)
    assert np.mean(apart) > 0.53


def test_a_group_of_one_has_no_other_half() -> None:
    scores = rng(2).random((5, 3))
    found = split_half(scores, np.array([0, 0, 1, 2, 2]), np.array([0, 1, 2, 3, 3]), rng())
    np.testing.assert_array_equal(np.isnan(found).all(axis=1), [False, False, True, True, True])
    assert not np.isnan(found[:2]).any()


def test_ties_on_the_half_go_to_who_was_better_in_training() -> None:
    scores = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    groups = np.zeros(2, dtype=np.intp)
    assert (split_half(scores, groups, np.arange(2), rng(), ties=np.array([0.9, 0.5, 0.4])) == 1).all()
    assert (split_half(scores, groups, np.arange(2), rng(), ties=np.array([0.1, 0.5, 0.4])) == 0).all()


def test_cells_nobody_observed_choose_nothing_and_are_not_scored() -> None:
    scores = coins(3, 40, 3)
    scores[:, 2] = np.nan
    scores[0, 2] = 1.0
    found = split_half(scores, np.zeros(40, dtype=np.intp), np.arange(40), rng(), repeats=30)
    # The third model has a perfect mean over one prompt; it is never chosen.
    assert not np.isnan(found).any()
    only = split_half(scores[:, :2], np.zeros(40, dtype=np.intp), np.arange(40), rng(), repeats=30)
    np.testing.assert_allclose(found, only)
    assert not np.isnan(hindsight(scores, np.zeros(40, dtype=np.intp))).any()
