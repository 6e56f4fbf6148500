"""Recompute stored runs from their choices and the data, and say what differs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from routereval import protocols
from routereval.data import store
from routereval.data.benchmark import BenchmarkData
from routereval.data.outcome import Outcome
from routereval.data.scenario import Scenario
from routereval.data.training_part import with_train_size
from routereval.datasets import Datasets
from routereval.encoders import embedded
from routereval.errors import MissingDataError, RouterEvalError
from routereval.evaluation import common_columns, evaluate
from routereval.metrics import METRICS
from routereval.policies import PolicySpec
from routereval.references import REFERENCES
from routereval.results import RunSpec, StoredRun
from routereval.stats import intervals

TOLERANCE = 1e-9

FindScenario = Callable[[RunSpec], Scenario]


def finder(datasets: Datasets) -> FindScenario:
    """Finds the scenario of a run by what its data hash to: in the store, else among these datasets."""

    @cache
    def benchmark(name: str, data_hash: str, encoder: str, protocol: str) -> BenchmarkData:
        """The data of this hash."""
        data = store.find(data_hash, remake=False) or replace(datasets, protocol=protocol, encoder=encoder).benchmark(
            name
        )
        if data.data_hash != data_hash:
            raise MissingDataError(f"{data.source} has changed since; the run was made on other data of that name")
        return embedded(data, encoder)

    def find(spec: RunSpec) -> Scenario:
        strategy, m = spec.scenario.split("/")[1:]
        return benchmark(spec.benchmark, spec.data_hash, spec.encoder, spec.protocol).scenario(strategy, int(m))

    return find


@dataclass(frozen=True)
class Verdict:
    """What recomputing one run showed.

    Parameters
    ----------
    differences : what does not agree, a sentence each; empty where everything does.
    checked : False for a run that failed, which has nothing to check.
    """

    spec: RunSpec
    differences: tuple[str, ...]
    checked: bool = True


def verify(run: StoredRun, find: FindScenario) -> Verdict:
    """Recompute every metric and interval of a run.

    What the chosen model, the oracle and the best single models scored comes from the data. The entropy of a router's
    distribution and its predicted scores cannot be recomputed from its choices; E_p is checked against the stored
    per-prompt entropies. A reference is evaluated anew.

    Parameters
    ----------
    find : gives the scenario of a run; may raise, which is a difference too.
    """
    if run.key and run.key != run.spec.key:
        return Verdict(run.spec, (f"stored under {run.key[:12]}, which is not the key of this run",))
    if run.outcome is None:
        return Verdict(run.spec, (), checked=False)
    try:
        scenario = with_train_size(find(run.spec), run.spec.train_size, run.spec.seed)
    except RouterEvalError as error:
        return Verdict(run.spec, (f"the data are not at hand: {error}",))
    if (len(scenario.test), scenario.m) != (len(run.outcome.prompt_ids), len(run.outcome.share)):
        return Verdict(
            run.spec,
            (
                f"stored for {len(run.outcome.prompt_ids)} prompts x {len(run.outcome.share)} models, "
                f"the data have {len(scenario.test)} x {scenario.m}",
            ),
        )
    try:
        outcome, wrong = _recomputed(run, scenario)
    except RouterEvalError as error:
        return Verdict(run.spec, (f"cannot be recomputed: {error}",))
    for name, metric in METRICS.items():
        wrong += _compare(name, run.metrics.get(name, math.nan), metric(outcome))
    for name, (low, high) in intervals(outcome).items():
        stored = run.intervals.get(name, (math.nan, math.nan))
        wrong += _compare(f"{name} lower bound", stored[0], low)
        wrong += _compare(f"{name} upper bound", stored[1], high)
    return Verdict(run.spec, tuple(wrong))


def _recomputed(run: StoredRun, scenario: Scenario) -> tuple[Outcome, list[str]]:
    """The outcome that the data and the stored choices imply, and the per-prompt values that differ from the stored."""
    stored = run.outcome
    assert stored is not None
    spec = run.spec
    if spec.router in REFERENCES:
        reference = PolicySpec(spec.router, spec.params).build()
        fresh = evaluate(reference, scenario, protocol=spec.protocol, seed=spec.seed).outcome
        assert fresh is not None
    else:
        fresh = _from_choices(stored, scenario, spec.protocol)
    wrong = []
    for name in sorted({*stored.columns, *fresh.columns}):
        if name not in stored.columns or name not in fresh.columns:
            wrong.append(
                f"per-prompt {name} is {'not stored' if name in fresh.columns else 'stored, but does not exist'}"
            )
        elif not np.allclose(stored.columns[name], fresh.columns[name], rtol=0, atol=TOLERANCE):
            count = int((np.abs(stored.columns[name] - fresh.columns[name]) > TOLERANCE).sum())
            wrong.append(f"per-prompt {name} differs on {count} prompts")
    if not np.array_equal(stored.counted, fresh.counted):
        wrong.append("not the same prompts count")
    return fresh, wrong


def _from_choices(stored: Outcome, scenario: Scenario, protocol: str) -> Outcome:
    scores = scenario.test.scores
    choices = np.zeros(0, dtype=np.int32) if stored.choices is None else stored.choices
    inside = (choices >= 0) & (choices < scenario.m)
    dense = scores.dense()
    counted = scores.mask().any(axis=1)
    picked = dense[np.arange(len(choices)), np.where(inside, choices, 0)]
    columns = common_columns(scenario, protocols.protocol(protocol))
    columns["chosen"] = np.where(inside, np.nan_to_num(picked), 0.0).astype(np.float64)
    for name in ("entropy", "predicted"):
        if name in stored.columns:
            columns[name] = stored.columns[name]
    share = np.bincount(choices[inside], minlength=scenario.m) / max(1, int(inside.sum()))
    return Outcome(scores.prompt_ids, scores.model_ids, np.asarray(counted), columns, share, choices)


def _compare(name: str, stored: float, computed: float) -> list[str]:
    same = math.isnan(stored) and math.isnan(computed)
    if same or abs(stored - computed) <= TOLERANCE:
        return []
    return [f"{name} is stored as {stored:.9g}, recomputed {computed:.9g}"]
