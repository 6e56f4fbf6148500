"""Synthetic benchmarks: what is claimed of the truth is true."""

from __future__ import annotations

import numpy as np
import pytest

import routereval as rv
from routereval.errors import ParameterError
from routereval.sources.synthetic import DEMO, Synthetic, SyntheticSpec


def test_equal_specs_give_equal_data_and_another_seed_another() -> None:
    first, second = (Synthetic(SyntheticSpec("same", prompts=50, models=20, sizes=(3,), seed=1)) for _ in range(2))
    other = Synthetic(SyntheticSpec("same", prompts=50, models=20, sizes=(3,), seed=2))
    assert np.array_equal(first.data.scores.dense(), second.data.scores.dense())
    assert first.data.data_hash == second.data.data_hash
    assert not np.array_equal(first.data.scores.dense(), other.data.scores.dense())


@pytest.mark.parametrize("graded", [False, True])
def test_scores_are_drawn_around_the_expected_scores(graded: bool) -> None:
    world = Synthetic(SyntheticSpec("drawn", prompts=800, models=60, sizes=(), graded=graded, seed=3))
    expected = world.success(np.arange(800), np.arange(60))
    dense = world.data.scores.dense()
    # 800 draws with a variance of at most 1/4 each: five standard errors are 0.09.
    assert np.abs(dense.mean(axis=0) - expected.mean(axis=0)).max() < 0.09
    residual = (dense - expected).ravel()
    assert abs(np.corrcoef(residual, expected.ravel())[0, 1]) < 0.02
    assert world.data.scores.binary is not graded


def test_the_optimal_policy_scores_what_is_claimed_and_no_router_scores_more() -> None:
    spec = SyntheticSpec("optimal", prompts=4000, models=80, skills=4, dimensions=32, sizes=(5,), seed=6)
    world = Synthetic(spec)
    for strategy, m in world.data.pools:
        scenario = world.data.scenario(strategy, m)
        choices = world.optimal_choices(scenario)
        prediction = rv.Prediction(np.eye(m)[choices])
        dense = scenario.test.scores.dense()
        drawn = dense[np.arange(len(dense)), choices].mean()
        claimed = world.optimal_score(scenario)
        # 400 test prompts: three standard errors of a mean of coins are 0.075.
        assert abs(drawn - claimed) < 0.075
        assert prediction.scores.shape == dense.shape
        for router in (rv.KNN(k=20), rv.Linear(recipe="minibatch"), rv.BestSingle()):
            picked = rv.evaluate(router, scenario).outcome.choices
            assert picked is not None
            truth = world.test_success(scenario)
            assert truth[np.arange(len(picked)), picked].mean() <= claimed + 1e-12


def test_the_optimal_score_is_the_mean_over_redrawn_worlds() -> None:
    spec = SyntheticSpec("redrawn", prompts=60, models=30, sizes=(3,), seed=8)
    world = Synthetic(spec)
    scenario = world.data.scenario("all_strong", 3)
    truth, choices = world.test_success(scenario), world.optimal_choices(scenario)
    rng = np.random.default_rng(0)
    rows = np.arange(len(truth))
    draws = [(rng.random(truth.shape) < truth)[rows, choices].mean() for _ in range(4000)]
    standard_error = np.std(draws) / np.sqrt(len(draws))
    assert abs(np.mean(draws) - world.optimal_score(scenario)) < 5 * standard_error


def test_the_embedding_carries_the_skills() -> None:
    world = Synthetic(SyntheticSpec("skills", prompts=500, models=10, skills=4, dimensions=32, sizes=(), noise=0.1))
    embeddings = world.data.queries.require_embeddings()
    fit, *_ = np.linalg.lstsq(embeddings[:400], world.demands[:400], rcond=None)
    residual = world.demands[400:] - embeddings[400:] @ fit
    assert 1 - residual.var() / world.demands[400:].var() > 0.9


def test_pools_are_picked_without_the_test_prompts() -> None:
    spec = SyntheticSpec("blind", prompts=100, models=60, sizes=(3,), seed=2)
    data = Synthetic(spec).data
    assert not data.pools_saw_test
    visible = data.scores.rows(np.sort(np.concatenate([data.split.train, data.split.val])))
    for pool in data.pools.values():
        means = visible.models(pool.model_ids).model_means
        assert (np.diff(means) >= 0).all()


def test_the_demo_has_several_benchmarks_every_size_and_every_strategy() -> None:
    assert len(DEMO) == 3
    for name in DEMO:
        data = rv.load_benchmark(name)
        assert set(data.pools) == {
            (strategy, m) for m in (3, 5, 10, 100) for strategy in ("all_strong", "all_weak", "strong_to_weak")
        }
        assert data.synthetic
    assert {rv.load_benchmark(name).scores.binary for name in DEMO} == {True, False}


def test_a_spec_that_cannot_be_is_refused() -> None:
    with pytest.raises(ParameterError, match="at least one prompt"):
        SyntheticSpec(prompts=0)
    with pytest.raises(ParameterError, match="99 skills"):
        SyntheticSpec(skills=99)
