"""evaluate(router, scenario) -> RunResult: fit, predict, choose, look up what the chosen models scored."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval import protocols
from routereval.data.outcome import Outcome, best_in_hindsight, entropy_bits, ranking, single_scores
from routereval.data.prediction import Prediction, choose
from routereval.data.queries import Queries
from routereval.data.scenario import Partition, Scenario
from routereval.data.training_part import with_train_size
from routereval.errors import DataError, RouterError, RouterEvalError
from routereval.policies import PolicySpec, is_reference, prepared, source_hash
from routereval.protocols import Protocol
from routereval.results.run import RunResult, RunSpec
from routereval.tuning import Tuning, described, tunable, tune_union
from routereval.union import Union, leaked, shares_prompts, unite, without_leaks


def evaluate(
    router: Any,
    scenario: Scenario,
    *,
    protocol: str = "strict",
    seed: int | None = None,
    tune: int = 0,
    train_size: int | None = None,
) -> RunResult:
    """Train a router (or take a reference) and test it on one scenario.

    Parameters
    ----------
    router : a router, a reference, or a :class:`~routereval.policies.PolicySpec`; it is copied, never changed.
    protocol : ``strict`` (sound) or ``paper`` (as published).
    seed : replaces the router's own; None keeps it.
    tune : how many combinations of its parameters to try on validation prompts first; see :mod:`routereval.tuning`.
    train_size : learn from so many of the training prompts only, drawn at random by the seed; None: all.

    Raises
    ------
    RouterError : the router raised, or returned what is no prediction for this pool.
    ParameterError : a parameter has a value the router cannot take on these data.

    Examples
    --------
    >>> import routereval as rv
    >>> result = rv.evaluate(rv.KNN(k=5), rv.load_scenario("demo_math/all_strong/5"))
    >>> 0 <= result.mu <= 1
    True
    """
    result = evaluate_many(router, [scenario], protocol=protocol, seed=seed, tune=tune, train_size=train_size)[0]
    if isinstance(result, Exception):
        raise result
    return result


def evaluate_many(
    router: Any,
    scenarios: Sequence[Scenario],
    *,
    protocol: str = "strict",
    seed: int | None = None,
    tune: int = 0,
    train_size: int | None = None,
) -> list[RunResult | RouterEvalError]:
    """The same on several scenarios, one result or error each.

    A columnwise router is fitted once on the union of the pools where the scenarios share their prompts; the results
    are those of fitting each by itself.
    """
    rules = protocols.protocol(protocol)
    if isinstance(router, PolicySpec):
        router = router.build()
    if train_size is not None:
        return _evaluate_parts(router, scenarios, rules, seed, tune, train_size)
    if is_reference(router):
        return [_evaluate_reference(router, scenario, rules, seed) for scenario in scenarios]
    fitted_once = len(scenarios) > 1 and getattr(router, "columnwise", False) and hasattr(router, "predict_slices")
    if fitted_once and shares_prompts(scenarios):
        try:
            return _evaluate_union(router, scenarios, rules, seed, tune)
        except RouterEvalError:
            # One bad pool must not take the others with it: each by itself says which.
            pass
    results: list[RunResult | RouterEvalError] = []
    for scenario in scenarios:
        try:
            results += _evaluate_union(router, [scenario], rules, seed, tune)
        except RouterEvalError as error:
            results.append(error)
    return results


def _evaluate_parts(
    router: Any, scenarios: Sequence[Scenario], rules: Protocol, seed: int | None, tune: int, train_size: int
) -> list[RunResult | RouterEvalError]:
    """The scenarios with a part of their training prompts; each result's spec says which part."""
    try:
        parts = [with_train_size(scenario, train_size, _seed(router, seed)) for scenario in scenarios]
    except RouterEvalError as error:
        return [error] * len(scenarios)
    results = evaluate_many(router, parts, protocol=rules.name, seed=seed, tune=tune)
    return [
        replace(one, spec=replace(one.spec, train_size=train_size)) if isinstance(one, RunResult) else one
        for one in results
    ]


def spec_of(router: Any, scenario: Scenario, protocol: str, seed: int | None, tune: int = 0) -> RunSpec:
    """What identifies this run."""
    name, params = described(router, tune)
    code = source_hash(router)
    return RunSpec(
        *(scenario.id, name, params, scenario.encoder, protocol, _seed(router, seed), scenario.data_hash, code)
    )


def _seed(router: Any, seed: int | None) -> int:
    return int(getattr(router, "seed", 0) if seed is None else seed)


def evaluate_prediction(
    spec: RunSpec,
    scenario: Scenario,
    prediction: Prediction,
    rules: Protocol,
    *,
    tie_breaker: NDArray[np.float64] | None = None,
    floor: float = 0.0,
    seconds: float = 0.0,
    predict_seconds: float = 0.0,
    notes: Sequence[str] = (),
    tuning: Tuning | None = None,
) -> RunResult:
    """Turn a prediction into a result.

    Parameters
    ----------
    tie_breaker : (m,) values that decide among equal scores; None lets the first candidate win.
    floor : probabilities up to this do not count for E_p.
    notes, tuning : what the router says of itself, and how its parameters were chosen.

    Raises
    ------
    RouterError : the prediction is none for this scenario.
    """
    scores = scenario.test.scores
    prediction = prediction.check(*scores.shape)
    seen = None if scores.complete else scores.mask()
    choices = choose(prediction.scores, tie_breaker, seen)
    counted = choices >= 0
    chosen = np.where(counted, np.nan_to_num(scores.dense()[np.arange(len(choices)), choices]), 0.0)
    columns = common_columns(scenario, rules) | {"chosen": chosen.astype(np.float64)}
    columns["predicted"] = _predicted(prediction.scores, choices, counted)
    if prediction.probs is not None:
        columns["entropy"] = entropy_bits(_restricted(prediction.probs.astype(np.float64), seen), floor)
    share = np.bincount(choices[counted], minlength=scenario.m) / max(1, int(counted.sum()))
    outcome = Outcome(scores.prompt_ids, scores.model_ids, counted, columns, share, choices.astype(np.int32))
    replaced = 0 if seen is None else int((choose(prediction.scores, tie_breaker)[counted] != choices[counted]).sum())
    return RunResult(
        spec,
        outcome,
        seconds,
        notes=(*notes_of(scenario, rules, replaced), *notes),
        tuning=tuning,
        predict_seconds=predict_seconds,
    )


def notes_of(scenario: Scenario, rules: Protocol, replaced: int = 0) -> tuple[str, ...]:
    """What a reader of this scenario's numbers should know."""
    notes = list(scenario.notes)
    if rules.name == "strict" and scenario.pools_saw_test:
        notes.append("the pool was selected on all prompts, test included; strict cannot undo that")
    if rules.drop_leaked and (count := leaked(scenario)):
        notes.append(f"{count} training prompts left out: their text is also a validation or test prompt")
    if replaced:
        notes.append(
            f"{replaced} of {len(scenario.test)} choices fell on a model that was not observed there; "
            "the best of those observed, by the router's own scores, stands in"
        )
    uncounted = int((~scenario.test.scores.mask().any(axis=1)).sum()) if not scenario.test.scores.complete else 0
    if uncounted:
        notes.append(f"{uncounted} of {len(scenario.test)} test prompts not counted: no model of the pool observed")
    return tuple(notes)


@dataclass(frozen=True)
class _Said:
    """What a fitted router said of one scenario's test queries, and its share of the seconds that took."""

    router: Any
    prediction: Prediction
    seconds: float
    tuning: Tuning | None = None


def _evaluate_union(
    router: Any, scenarios: Sequence[Scenario], rules: Protocol, seed: int | None, tune: int
) -> list[RunResult | RouterEvalError]:
    start = time.perf_counter()
    fresh = prepared(router, rules, seed)
    union = unite(scenarios, rules, extra=getattr(fresh, "uses_extra", False))
    if len(union.train) == 0:
        raise DataError(
            f"{scenarios[0].benchmark} has no training prompts left: the text of each is also that of a validation or "
            "test prompt"
        )
    with _blamed_on(router):
        said = _said(fresh, union, scenarios[0].test.queries, rules, seed, tune)
    seconds = (time.perf_counter() - start) / len(scenarios)
    means = union.train.target_means if getattr(fresh, "ties", rules.ties) == "train_mean" else None
    floor = float(getattr(fresh, "paper_entropy_floor", 0.0)) if rules.own_entropy else 0.0
    results: list[RunResult | RouterEvalError] = []
    for scenario, columns, one in zip(scenarios, union.slices, said, strict=True):
        try:
            result = evaluate_prediction(
                spec_of(router, scenario, rules.name, seed, tune),
                scenario,
                one.prediction,
                rules,
                tie_breaker=None if means is None else means[columns],
                floor=floor,
                seconds=seconds,
                predict_seconds=one.seconds,
                notes=(*map(str, getattr(one.router, "notes_", ())), *one.prediction.notes),
                tuning=one.tuning,
            )
            results.append(result)
        except RouterEvalError as error:
            results.append(error)
    return results


def _said(fresh: Any, union: Union, queries: Queries, rules: Protocol, seed: int | None, tune: int) -> list[_Said]:
    """What the router says of the test queries in each pool; fitted once, or once for each choice of parameters."""
    if not tune or not tunable(fresh):
        fresh.fit(union.train, union.val)
        return _answers(fresh, queries, union.slices, len(union.slices) > 1)
    tuned = tune_union(fresh, union, rules, seed, tune)
    said: dict[int, _Said] = {}
    for router in {id(one.router): one.router for one in tuned}.values():
        served = [i for i, one in enumerate(tuned) if one.router is router]
        answers = _answers(router, queries, [union.slices[i] for i in served], len(tuned) > 1)
        said |= {i: replace(one, tuning=tuned[i].tuning) for i, one in zip(served, answers, strict=True)}
    return [said[i] for i in range(len(tuned))]


def _answers(router: Any, queries: Queries, slices: Sequence[NDArray[np.intp]], sliced: bool) -> list[_Said]:
    start = time.perf_counter()
    predictions = list(router.predict_slices(queries, slices)) if sliced else [router.predict(queries)]
    seconds = (time.perf_counter() - start) / max(1, len(slices))
    if len(predictions) != len(slices):
        raise RouterError(f"predict_slices returned {len(predictions)} predictions for {len(slices)} slices")
    for prediction in predictions:
        if not isinstance(prediction, Prediction):
            raise RouterError(f"predict returned {type(prediction).__name__}; expected routereval.Prediction(scores)")
    return [_Said(router, prediction, seconds) for prediction in predictions]


@contextmanager
def _blamed_on(router: Any) -> Iterator[None]:
    """Whatever somebody else's router raises is its failure, not ours."""
    try:
        yield
    except RouterEvalError:
        raise
    except (Exception, SystemExit) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise RouterError(
            f"{type(router).__name__} raised {type(error).__name__}: {error} "
            f"({Path(where.filename).name}, line {where.lineno}, in {where.name})"
        ) from error


def _evaluate_reference(
    reference: Any, scenario: Scenario, rules: Protocol, seed: int | None
) -> RunResult | RouterEvalError:
    start = time.perf_counter()
    scores = scenario.test.scores
    try:
        expected, probs = reference.expected(scores)
    except RouterEvalError as error:
        return error
    counted: NDArray[np.bool_] = np.asarray(scores.mask().any(axis=1))
    columns = common_columns(scenario, rules) | {"chosen": expected, "entropy": entropy_bits(probs)}
    share = probs.sum(axis=0) / max(1, int(counted.sum()))
    outcome = Outcome(scores.prompt_ids, scores.model_ids, counted, columns, share)
    seconds = time.perf_counter() - start
    return RunResult(spec_of(reference, scenario, rules.name, seed), outcome, seconds, notes=notes_of(scenario, rules))


def common_columns(scenario: Scenario, rules: Protocol) -> dict[str, NDArray[np.float64]]:
    """What the scenario alone decides: oracle, best single models, reference."""
    test, train = scenario.test.scores, learnt_from(scenario, rules).scores
    columns = {
        "oracle": np.nan_to_num(np.fmax.reduce(test.dense(), axis=1)).astype(np.float64),
        "best_single": single_scores(test, best_in_hindsight(test)),
        "best_single_train": single_scores(test, ranking(train.model_means, train.counts, train.shape[0])),
    }
    columns["baseline"] = columns[rules.baseline]
    if scenario.reference_score is not None:
        columns["reference"] = np.full(test.shape[0], scenario.reference_score)
    return columns


def learnt_from(scenario: Scenario, rules: Protocol) -> Partition:
    """The training prompts that may be learnt from: all, or those whose text is not also that of a test prompt."""
    return without_leaks(scenario.train, scenario) if rules.drop_leaked else scenario.train


def _predicted(
    scores: NDArray[np.floating], choices: NDArray[np.intp], counted: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The predicted score of the chosen model on each prompt, (n,); 0 where not counted.

    To four decimals: a calibration needs no more, and a results file is read and kept by many.
    """
    picked = np.asarray(scores, dtype=np.float64)[np.arange(len(choices)), choices]
    return np.where(counted, picked.round(4), 0.0)


def _restricted(probs: NDArray[np.float64], seen: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    """The distribution over the models that were observed on each prompt."""
    if seen is None:
        return probs
    kept = np.where(seen, probs, 0.0)
    total = kept.sum(axis=1, keepdims=True)
    restricted = np.zeros_like(kept)
    np.divide(kept, total, out=restricted, where=total > 0)
    return restricted
