"""What a policy scores on given pools: closed forms for the oracle and chance, slices or fits for routers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval import protocols
from routereval.data.oracles import oracle_means, router_means
from routereval.data.prediction import Prediction
from routereval.data.scaling import chance_means, expected_oracle
from routereval.data.scenario import CandidatePool, Scenario
from routereval.data.scores import ScoreMatrix
from routereval.errors import RouterError, RouterEvalError
from routereval.evaluation import evaluate
from routereval.policies import prepared
from routereval.scaling.plan import Curve, ScalingPlan
from routereval.union import unite

Pools = NDArray[np.int64]
Means = Callable[[Pools], NDArray[np.float64]]
Expected = Callable[[int], float | None]


def values_of(plan: ScalingPlan, curve: Curve, advance: Callable[[], None]) -> tuple[Means, Expected]:
    """A curve's mean scores of pools (pools, m) -> (pools,), and its expectation for a size.

    Parameters
    ----------
    advance : called after each fit of a router that is fitted on each pool.
    """
    scores = plan.data.scores if plan.scope == "all" else plan.data.scores.rows(plan.data.split.test)
    if curve.router is None:
        return _oracle(scores, curve.sizes) if curve.spec.policy == "oracle" else _chance(scores)
    if curve.sliced:
        return _sliced(plan, curve.router, scores), lambda m: None
    return _fitted(plan, curve.router, advance), lambda m: None


def _oracle(scores: ScoreMatrix, sizes: Sequence[int]) -> tuple[Means, Expected]:
    exact = dict(zip(sizes, expected_oracle(scores, sizes), strict=True)) if scores.complete else {}
    return lambda pools: oracle_means(scores, pools), lambda m: float(exact[m]) if m in exact else None


def _chance(scores: ScoreMatrix) -> tuple[Means, Expected]:
    if not scores.complete:
        return lambda pools: chance_means(scores, pools), lambda m: None
    means = scores.model_means
    return lambda pools: means[pools].mean(axis=1), lambda m: float(means.mean())


def _sliced(plan: ScalingPlan, router: Any, scores: ScoreMatrix) -> Means:
    """Fitted once on all models; each pool is a slice of its predictions."""
    rules = protocols.protocol(plan.protocol)
    ranked = _ranking(plan)
    scenario = _scenario(plan, ranked)
    union = unite([scenario], rules)
    train = union.train
    fresh = prepared(router, rules, plan.seed)
    try:
        fitted = fresh.fit(train, union.val)
        predicted = Prediction(fitted.predict_scores(scenario.test.queries)).check(*scenario.test.scores.shape).scores
    except RouterEvalError:
        raise
    except Exception as error:  # somebody else's code
        raise RouterError(f"{type(router).__name__} raised {type(error).__name__}: {error}") from error
    # Of equal predictions the first wins: in the order of the pool, or the best train mean, then that order.
    order = np.arange(len(ranked))
    if getattr(fresh, "ties", rules.ties) == "train_mean":
        order = np.argsort(-np.nan_to_num(train.scores.model_means, nan=-1.0), kind="stable")
    in_order = scores.columns(ranked)
    place = np.argsort(ranked)
    return lambda pools: router_means(in_order, predicted, place[pools], order)


def _fitted(plan: ScalingPlan, router: Any, advance: Callable[[], None]) -> Means:
    """Fitted on each pool, as a run of that pool is."""
    place = np.argsort(_ranking(plan))

    def means(pools: Pools) -> NDArray[np.float64]:
        """The mean score in each pool."""
        found: dict[bytes, float] = {}
        for pool in pools:
            # Of all models there is one pool, however often it is drawn.
            if pool.tobytes() not in found:
                scenario = _scenario(plan, pool[np.argsort(place[pool])])
                found[pool.tobytes()] = evaluate(router, scenario, protocol=plan.protocol, seed=plan.seed).mu
            advance()
        return np.array([found[pool.tobytes()] for pool in pools])

    return means


def _scenario(plan: ScalingPlan, models: Iterable[int]) -> Scenario:
    pool = CandidatePool(tuple(plan.data.scores.model_ids[i] for i in models), "drawn")
    return replace(plan.data, pools={("drawn", len(pool)): pool}, train_labels={}).scenario("drawn", len(pool))


def _ranking(plan: ScalingPlan) -> NDArray[np.intp]:
    """All models in the order in which a pool holds them: ascending mean of the prompts that pools may look at."""
    data = plan.data
    for pool in data.pools.values():
        if len(pool) == len(data.scores.model_ids):
            position = {name: i for i, name in enumerate(data.scores.model_ids)}
            return np.array([position[name] for name in pool.model_ids], dtype=np.intp)
    scores = data.scores
    if plan.protocol == "strict":
        scores = scores.rows(np.sort(np.r_[data.split.train, data.split.val]))
    return np.argsort(np.nan_to_num(scores.model_means, nan=-1.0), kind="stable")
