"""Model-level scaling up: how a policy's score grows with the number of candidates, over random pools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval import protocols
from routereval.data.benchmark import BenchmarkData
from routereval.data.oracles import oracle_means, router_means
from routereval.data.scaling import expected_oracle, random_pools
from routereval.data.scenario import CandidatePool
from routereval.data.scores import ScoreMatrix
from routereval.errors import ParameterError
from routereval.policies import describe, prepared, source_hash
from routereval.results import ResultStore
from routereval.results.curves import CurvePoint, CurveSpec
from routereval.seeding import generator
from routereval.union import unite

SCOPES = ("all", "test")
BATCH = 16
"""Sizes computed between two writes."""


@dataclass(frozen=True)
class ScalingPlan:
    """What is to be drawn on one benchmark.

    Parameters
    ----------
    data : scores of all models that pools are drawn from.
    sizes : m of the pools.
    routers : columnwise routers beside the oracle and chance; they need ``scope = "test"``.
    scope : ``all`` prompts, as published, or the ``test`` prompts.
    draws, seed : how many pools of each size, and which.
    """

    data: BenchmarkData
    sizes: Sequence[int]
    routers: Sequence[Any] = ()
    scope: str = "all"
    protocol: str = "strict"
    draws: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        models = self.data.scores.shape[1]
        if self.scope not in SCOPES:
            raise ParameterError(f"scope is {self.scope!r}; expected {' or '.join(SCOPES)}")
        if self.routers and self.scope != "test":
            raise ParameterError("a router has seen the training prompts; draw it on the test prompts")
        if wrong := [m for m in self.sizes if not 2 <= m <= models]:
            raise ParameterError(f"pools of {wrong[0]} models cannot be drawn from {models}")
        for router in self.routers:
            if not (getattr(router, "columnwise", False) and hasattr(router, "predict_scores")):
                raise ParameterError(
                    f"{describe(router)[0]} cannot be drawn: it has to be fitted for each of the thousands of pools; "
                    "columnwise routers are fitted once"
                )

    @property
    def specs(self) -> list[CurveSpec]:
        """The curves: oracle, random, then each router."""

        def spec(name: str, params: dict[str, Any], encoder: str, protocol: str, code: str = "") -> CurveSpec:
            return CurveSpec(
                benchmark=self.data.benchmark,
                policy=name,
                params=params,
                encoder=encoder,
                protocol=protocol,
                scope=self.scope,
                draws=self.draws,
                seed=self.seed,
                data_hash=self.data.data_hash,
                code=code,
            )

        # Neither the oracle nor chance looks at an embedding, or plays by any rules.
        closed = [spec(name, {}, "none", "none") for name in ("oracle", "random")]
        return closed + [
            spec(*describe(router), self.data.encoder, self.protocol, source_hash(router)) for router in self.routers
        ]


def scale(plan: ScalingPlan, store: ResultStore, advance: Callable[[], None] = lambda: None) -> list[CurvePoint]:
    """The points of every curve of a plan, drawn where they are not stored yet; stored as they come.

    Parameters
    ----------
    advance : called for each size of each curve that was missing.
    """
    specs = plan.specs
    have = [store.points(spec).keys() for spec in specs]
    left = [m for m in plan.sizes if any(m not in stored for stored in have)]
    # What makes a curve's values is made only where a value is missing: a router is fitted there.
    evaluators = [make() if set(left) - stored else None for make, stored in zip(_evaluators(plan), have, strict=True)]
    for start in range(0, len(left), BATCH):
        points = []
        for m in left[start : start + BATCH]:
            pools = pools_of(plan, m)
            for spec, stored, evaluator in zip(specs, have, evaluators, strict=True):
                if evaluator is not None and m not in stored:
                    means_of, expected_of = evaluator
                    points.append(CurvePoint(spec, m, means_of(pools), expected_of(m)))
                    advance()
        store.put_points(points)
    drawn = {spec.key: store.points(spec) for spec in specs}
    return [drawn[spec.key][m] for spec in specs for m in plan.sizes]


def missing(plan: ScalingPlan, store: ResultStore) -> int:
    """How many points of a plan are not stored yet."""
    return sum(len(set(plan.sizes) - store.points(spec).keys()) for spec in plan.specs)


def pools_of(plan: ScalingPlan, m: int) -> NDArray[np.int64]:
    """The random pools of a size, (draws, m); the same for every policy and every benchmark with as many models."""
    models = plan.data.scores.shape[1]
    return random_pools(models, m, plan.draws, generator("scaling", models, m, plan.seed))


Means = Callable[[NDArray[np.int64]], NDArray[np.float64]]
Expected = Callable[[int], float | None]


def _evaluators(plan: ScalingPlan) -> list[Callable[[], tuple[Means, Expected]]]:
    """For each curve what makes its functions: mean scores of pools, and the expectation for a size."""
    scores = plan.data.scores if plan.scope == "all" else plan.data.scores.rows(plan.data.split.test)
    return [
        lambda: _oracle(scores, plan.sizes),
        lambda: _chance(scores),
        *(lambda r=r: _router(plan, r, scores) for r in plan.routers),
    ]


def _oracle(scores: ScoreMatrix, sizes: Sequence[int]) -> tuple[Means, Expected]:
    exact = dict(zip(sizes, expected_oracle(scores, sizes), strict=True)) if scores.complete else {}
    return lambda pools: oracle_means(scores, pools), lambda m: float(exact[m]) if m in exact else None


def _chance(scores: ScoreMatrix) -> tuple[Means, Expected]:
    if scores.complete:
        means = scores.model_means
        return lambda pools: means[pools].mean(axis=1), lambda m: float(means.mean())

    def drawn(pools: NDArray[np.int64]) -> NDArray[np.float64]:
        dense = scores.dense()
        with np.errstate(invalid="ignore"):
            return np.array([np.nanmean(_row_means(dense[:, pool])) for pool in pools])

    return drawn, lambda m: None


def _row_means(part: NDArray[np.float32]) -> NDArray[np.float64]:
    seen = ~np.isnan(part)
    counts = seen.sum(axis=1)
    sums = np.where(seen, part, 0).sum(axis=1, dtype=np.float64)
    means: NDArray[np.float64] = np.divide(sums, counts, out=np.full(len(part), np.nan), where=counts > 0)
    return means


def _router(plan: ScalingPlan, router: Any, scores: ScoreMatrix) -> tuple[Means, Expected]:
    """Fitted once on all models; each pool is a slice of its predictions."""
    rules = protocols.protocol(plan.protocol)
    everyone = CandidatePool(plan.data.scores.model_ids, "all")
    scenario = replace(plan.data, pools={("all", len(everyone)): everyone}).scenario("all", len(everyone))
    union = unite([scenario], rules)
    if union.train.labels is not None:
        raise ParameterError(
            f"{plan.data.benchmark} has graded scores, whose published labels depend on the pool, so that no fit "
            "serves all pools; draw it under the strict protocol"
        )
    train = union.train
    fitted = prepared(router, rules, plan.seed).fit(train, union.val)
    predicted = fitted.predict_scores(scenario.test.queries)
    # Equal predictions go to the first: the best train mean, or as published the lowest mean of all prompts.
    means = np.nan_to_num(train.scores.model_means if rules.ties == "train_mean" else plan.data.scores.model_means)
    ties = getattr(fitted, "ties", rules.ties)
    order = np.argsort(-means if ties == "train_mean" else means, kind="stable")
    return lambda pools: router_means(scores, predicted, pools, order), lambda m: None
