"""Parameters chosen on validation prompts, with the same budget of trials for every router; never on test prompts."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval import protocols
from routereval.data.prediction import Prediction, choose
from routereval.data.scenario import Partition, Scenario
from routereval.errors import ParameterError, RouterError, RouterEvalError
from routereval.policies import describe, prepared
from routereval.protocols import Protocol
from routereval.seeding import generator
from routereval.union import Union, unite

BUDGET = 12
"""How many combinations of parameters are tried where nobody says how many."""

HELD_OUT = 0.2
"""Share of the training prompts that stands in for validation prompts where there are too few."""

FEWEST = 20
"""Fewer validation prompts than this choose nothing but noise."""


@dataclass(frozen=True)
class Trial:
    """One combination of parameters that was tried.

    Parameters
    ----------
    params : those that differ from the router's own; empty for the router as it was given.
    score : mean score of its choices on the validation prompts; nan where it failed.
    seconds : of fitting and predicting, for all pools that were tuned together.
    error : why it failed, or None.
    """

    params: Mapping[str, Any]
    score: float
    seconds: float
    error: str | None = None


@dataclass(frozen=True)
class Tuning:
    """What was tried on one scenario, and what was chosen.

    Parameters
    ----------
    trials : in the order in which they were tried; the router as it was given is the first.
    chosen : position of the best one; the first of equals.
    prompts : how many validation prompts they were judged on.
    held_out : whether these were taken from the training prompts, for lack of validation prompts (below 20).
    """

    trials: tuple[Trial, ...]
    chosen: int
    prompts: int
    held_out: bool = False

    @property
    def params(self) -> Mapping[str, Any]:
        """The chosen parameters, those that differ from the router's own."""
        return self.trials[self.chosen].params

    def __str__(self) -> str:
        chosen = ", ".join(f"{k}={v}" for k, v in self.params.items()) or "as given"
        where = "training prompts held out" if self.held_out else "validation prompts"
        own, best = self.trials[0].score, self.trials[self.chosen].score
        gain = "" if self.chosen == 0 else f", {own:.3f} as given"
        return f"{chosen} ({len(self.trials)} tried on {self.prompts} {where}: {best:.3f}{gain})"

    def to_json(self) -> dict[str, Any]:
        """As an object JSON can hold."""
        trials = [dataclasses.asdict(trial) | {"score": _null(trial.score)} for trial in self.trials]
        return {"chosen": self.chosen, "prompts": self.prompts, "held_out": self.held_out, "trials": trials}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Tuning:
        """What :meth:`to_json` made an object of."""
        trials = tuple(
            Trial(one["params"], math.nan if one["score"] is None else one["score"], one["seconds"], one["error"])
            for one in value["trials"]
        )
        return cls(trials, value["chosen"], value["prompts"], value["held_out"])


@dataclass(frozen=True)
class TunedRouter:
    """A router with its parameters chosen, fitted, and how they were chosen."""

    router: Any
    tuning: Tuning


def tune(
    router: Any, scenario: Scenario, *, budget: int = BUDGET, protocol: str = "strict", seed: int | None = None
) -> TunedRouter:
    """Choose a router's parameters on a scenario's validation prompts and fit it on the training prompts.

    Parameters
    ----------
    router : copied, never changed. Parameters that are not the defaults stay as they are.
    budget : how many combinations of its ``search_space`` are tried: all where that many are enough, else the router as
        it is and a random choice of others.

    Raises
    ------
    ParameterError : the budget is below 1.
    RouterError : not one combination can be fitted; says why.
    """
    rules = protocols.protocol(protocol)
    union = unite([scenario], rules, extra=getattr(router, "uses_extra", False))
    (tuned,) = tune_union(router, union, rules, seed, budget)
    return tuned


def trials(wanted: bool, budget: int | None) -> int:
    """The budget that is meant by whether to tune and how many combinations to try: 0 where nobody asks for any."""
    return budget or (BUDGET if wanted else 0)


def tunable(router: Any) -> bool:
    """Whether there is anything to choose."""
    return bool(_varied(router))


def described(policy: Any, budget: int = 0) -> tuple[str, dict[str, Any]]:
    """The name and parameters of a policy in a run's key; a budget for tuning is one more where there is any tuning."""
    name, params = describe(policy)
    return name, params | {"tune": budget} if budget and tunable(policy) else params


def candidates(router: Any, budget: int, seed: int = 0) -> list[dict[str, Any]]:
    """The combinations that are tried, each as what differs from the router; the router itself, ``{}``, is the first.

    Raises
    ------
    ParameterError : the budget is below 1.
    """
    if budget < 1:
        raise ParameterError(f"a budget of {budget} trials tries nothing; it must be at least 1")
    varied = _varied(router)
    grid = [dict(zip(varied, values, strict=True)) for values in itertools.product(*varied.values())]
    others = [own for one in grid if (own := {k: v for k, v in one.items() if v != getattr(router, k)})]
    if len(others) >= budget:
        picked = generator("tuning", describe(router)[0], seed).choice(len(others), budget - 1, replace=False)
        others = [others[i] for i in sorted(picked)]
    return [{}, *others]


def tune_union(router: Any, union: Union, rules: Protocol, seed: int | None, budget: int) -> list[TunedRouter]:
    """The same for several pools that one fit serves, each pool with parameters of its own.

    Parameters
    ----------
    union : the pools' models as one partition, and the columns of each pool.

    Raises
    ------
    RouterError : not one combination can be fitted.
    """
    learn, judge, held_out = _judged_on(union, seed or 0)
    trials: list[list[Trial]] = [[] for _ in union.slices]
    best: list[tuple[float, int, Any]] = [(-math.inf, 0, None)] * len(union.slices)
    for number, (params, fitted, error, start) in enumerate(_fits(router, learn, rules, seed, budget)):
        scores = [math.nan] * len(union.slices)
        if fitted is not None:
            try:
                scores = _judge(fitted, judge, union.slices, learn.target_means, rules)
            except RouterEvalError as failure:
                error = str(failure)
        seconds = time.perf_counter() - start
        for i, score in enumerate(scores):
            trials[i].append(Trial(params, score, seconds, error))
            if score > best[i][0]:
                best[i] = (score, number, fitted)
    if any(chosen is None for _, _, chosen in best):
        reasons = "; ".join(dict.fromkeys(trial.error for trial in trials[0] if trial.error))
        raise RouterError(f"{describe(router)[0]} failed with each of {len(trials[0])} parameters tried: {reasons}")
    again: dict[int, Any] = {}
    tuned = []
    for i, (_, number, fitted) in enumerate(best):
        if held_out:
            if number not in again:
                fresh = prepared(_with(router, trials[i][number].params), rules, seed)
                again[number] = fresh.fit(union.train, None)
            fitted = again[number]
        tuned.append(TunedRouter(fitted, Tuning(tuple(trials[i]), number, len(judge), held_out)))
    return tuned


def _fits(
    router: Any, learn: Partition, rules: Protocol, seed: int | None, budget: int
) -> Iterator[tuple[dict[str, Any], Any, str | None, float]]:
    """Each combination, fitted; None and why where it cannot be; and when its time began."""
    anew: list[Any] = []
    for params in candidates(router, budget, seed or 0):
        start = time.perf_counter()
        try:
            fresh = prepared(_with(router, params), rules, seed)
            # What an earlier one learned may serve this one too: the same neighbours, say.
            shared = (one.refitted(_parameters(fresh)) for one in reversed(anew))
            fitted = next((one for one in shared if one is not None), None)
            if fitted is None:
                fitted = fresh.fit(learn, None)
                anew += [fitted] if hasattr(fitted, "refitted") else []
        except Exception as error:  # somebody else's code: one combination that fails must not end the search
            yield params, None, f"{type(error).__name__}: {error}", start
            continue
        yield params, fitted, None, start


def _judge(
    fitted: Any, judge: Partition, slices: Sequence[NDArray[np.intp]], means: NDArray[np.float64], rules: Protocol
) -> list[float]:
    """Mean validation score of its choices in each pool."""
    if len(slices) > 1:
        predictions: list[Prediction] = fitted.predict_slices(judge.queries, slices)
    else:
        predictions = [fitted.predict(judge.queries)]
    breaks_ties = getattr(fitted, "ties", rules.ties) == "train_mean"
    return [
        routed_mean(prediction.scores, judge.scores.columns(columns).dense(), means[columns] if breaks_ties else None)
        for prediction, columns in zip(predictions, slices, strict=True)
    ]


def routed_mean(
    predicted: NDArray[np.floating], scores: NDArray[np.float32], tie_breaker: NDArray[np.float64] | None = None
) -> float:
    """Mean score of the models with the highest predictions among those observed, over the prompts that have any.

    Parameters
    ----------
    predicted, scores : (n, m); ``scores`` nan where not observed.
    """
    seen = ~np.isnan(scores)
    chosen = choose(predicted, tie_breaker, None if seen.all() else seen)
    counted = chosen >= 0
    if not counted.any():
        return math.nan
    return float(scores[counted, chosen[counted]].mean(dtype=np.float64))


def _judged_on(union: Union, seed: int) -> tuple[Partition, Partition, bool]:
    """What is fitted, what is judged on, and whether the latter was taken from the training prompts."""
    n, given = len(union.train), 0 if union.val is None else len(union.val)
    held = max(1, int(HELD_OUT * n))
    if union.val is not None and (given >= FEWEST or given >= held):
        return union.train, union.val, False
    if n - held < 1:
        raise RouterError(f"{n} training prompts are too few to hold any out for tuning")
    order = generator("held out for tuning", n, seed).permutation(n)
    return union.train.rows(np.sort(order[held:])), union.train.rows(np.sort(order[:held])), True


def _varied(router: Any) -> dict[str, Sequence[Any]]:
    """The parameters to vary: those of its search space that have their default values."""
    if not dataclasses.is_dataclass(router):
        return {}
    defaults = {f.name: f.default for f in dataclasses.fields(router)}
    space = getattr(router, "search_space", {})
    return {k: values for k, values in space.items() if getattr(router, k) == defaults[k]}


def _with(router: Any, params: Mapping[str, Any]) -> Any:
    return dataclasses.replace(router, **params) if params else router


def _parameters(router: Any) -> dict[str, Any]:
    return {f.name: getattr(router, f.name) for f in dataclasses.fields(router) if f.init}


def _null(value: float) -> float | None:
    return None if math.isnan(value) else value
