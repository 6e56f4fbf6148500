"""What is to be drawn on a benchmark: which curves, at which sizes, on which pools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval import protocols
from routereval.data.benchmark import BenchmarkData
from routereval.data.scaling import random_pools
from routereval.errors import ParameterError
from routereval.policies import describe, is_reference, source_hash
from routereval.references import Oracle, Random, RandomMixture
from routereval.results.curves import CurveSpec
from routereval.seeding import generator

SCOPES = ("all", "test")


@dataclass(frozen=True, eq=False)
class Curve:
    """One curve of a plan.

    Parameters
    ----------
    sizes : m of its pools.
    router : what draws it; None for the oracle and chance.
    sliced : whether one fit on all models serves every pool; else each pool is a fit of its own.
    """

    spec: CurveSpec
    sizes: tuple[int, ...]
    router: Any = None
    sliced: bool = True


@dataclass(frozen=True)
class ScalingPlan:
    """What is to be drawn on one benchmark.

    Parameters
    ----------
    data : scores of all models that pools are drawn from.
    sizes : m of the pools.
    routers : routers beside the oracle and chance; they need ``scope = "test"``.
    scope : ``all`` prompts, as published, or the ``test`` prompts.
    draws, seed : how many pools of each size, and which.
    router_draws, router_sizes : the same for routers that have to be fitted on each pool: on the first of the same
        pools, at these sizes; None for all ``sizes``.
    """

    data: BenchmarkData
    sizes: Sequence[int]
    routers: Sequence[Any] = ()
    scope: str = "all"
    protocol: str = "strict"
    draws: int = 100
    seed: int = 0
    router_draws: int = 5
    router_sizes: Sequence[int] | None = None

    def __post_init__(self) -> None:
        models = self.data.scores.shape[1]
        if self.scope not in SCOPES:
            raise ParameterError(f"scope is {self.scope!r}; expected {' or '.join(SCOPES)}")
        if self.routers and self.scope != "test":
            raise ParameterError("a router has seen the training prompts; draw it on the test prompts")
        if wrong := [m for m in (*self.sizes, *(self.router_sizes or ())) if not 2 <= m <= models]:
            raise ParameterError(f"pools of {wrong[0]} models cannot be drawn from {models}")
        if self.draws < 1 or self.router_draws < 1:
            raise ParameterError("at least one pool of each size is drawn")
        for router in self.routers:
            if isinstance(router, Oracle | Random | RandomMixture):
                raise ParameterError(
                    f"{describe(router)[0]} is no router: the oracle and chance are always drawn, and r_o(p) is a "
                    "share of the two"
                )

    @cached_property
    def curves(self) -> tuple[Curve, ...]:
        """Oracle, random, then each router."""
        # Neither the oracle nor chance looks at an embedding, or plays by any rules.
        curves = [Curve(self._spec(name, {}, "none", "none"), tuple(self.sizes)) for name in ("oracle", "random")]
        few = self.sizes if self.router_sizes is None else self.router_sizes
        for router in self.routers:
            sliced = self.fits_once(router)
            name, params = describe(router)
            draws = self.draws if sliced else min(self.draws, self.router_draws)
            spec = self._spec(name, params, self.data.encoder, self.protocol, source_hash(router), draws)
            curves.append(Curve(spec, tuple(self.sizes if sliced else few), router, sliced))
        return tuple(curves)

    def fits_once(self, router: Any) -> bool:
        """Whether one fit on all models serves every pool.

        Its scores of a model depend on no other model, and neither does what it learns: published labels of graded
        scores do.
        """
        columnwise = getattr(router, "columnwise", False) and hasattr(router, "predict_scores")
        labelled = protocols.protocol(self.protocol).pool_labels and not self.data.scores.binary
        return bool(columnwise) and not labelled and not is_reference(router)

    def pools(self, m: int) -> NDArray[np.int64]:
        """The random pools of a size, (draws, m); the same for every policy, every benchmark with as many models."""
        models = self.data.scores.shape[1]
        return random_pools(models, m, self.draws, generator("scaling", models, m, self.seed))

    def _spec(
        self, name: str, params: dict[str, Any], encoder: str, protocol: str, code: str = "", draws: int | None = None
    ) -> CurveSpec:
        return CurveSpec(
            benchmark=self.data.benchmark,
            policy=name,
            params=params,
            encoder=encoder,
            protocol=protocol,
            scope=self.scope,
            draws=self.draws if draws is None else draws,
            seed=self.seed,
            data_hash=self.data.data_hash,
            code=code,
        )
