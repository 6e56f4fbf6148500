"""Runs as plain rows, for scripts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from routereval.results import StoredRun


def json_row(run: StoredRun) -> dict[str, Any]:
    """One run as the object ``--json`` prints; what does not exist is null."""
    spec = run.spec
    low, high = run.intervals.get("mu", (math.nan, math.nan))

    def value(name: str) -> float | None:
        return _number(run.metrics.get(name, math.nan))

    return {
        "scenario": spec.scenario,
        "router": spec.router,
        "params": dict(spec.params),
        "protocol": spec.protocol,
        "encoder": spec.encoder,
        "seed": spec.seed,
        "mu": value("mu"),
        "mu_low": _number(low),
        "mu_high": _number(high),
        "V_R": value("V_R"),
        "V_B": value("V_B"),
        "V_B_train": value("V_B_train"),
        "E_p": value("E_p"),
        "choice_entropy": value("choice_entropy"),
        "gap_closed": value("gap_closed"),
        "regret": value("regret"),
        "seconds": run.seconds,
        "error": run.error,
        # Only of a run on a part of the training prompts: the keys of all others are a contract.
        **({} if spec.train_size is None else {"train_size": spec.train_size}),
    }


def json_rows(runs: Sequence[StoredRun]) -> list[dict[str, Any]]:
    """Every run as :func:`json_row` has it."""
    return [json_row(run) for run in runs]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
