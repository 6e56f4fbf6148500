"""How parameters were chosen, run by run: what was tried, what it scored on validation prompts, what was taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from routereval.results import StoredRun
from routereval.results.run import router_label


def tuning_rows(runs: Sequence[StoredRun]) -> list[dict[str, Any]]:
    """One row per tuned run, by scenario: the choice, its validation score and that of the router as it was given."""
    rows = []
    for run in runs:
        tuning = run.tuning
        if tuning is None:
            continue
        scores = [trial.score for trial in tuning.trials]
        rows.append(
            {
                "scenario": run.spec.scenario,
                "router": router_label(run.spec.router, {}),
                "seed": run.spec.seed,
                "chosen": ", ".join(f"{k}={v}" for k, v in tuning.params.items()) or "as given",
                "validation": round(scores[tuning.chosen], 3),
                "as_given": None if math.isnan(scores[0]) else round(scores[0], 3),
                "tried": len(scores),
                "failed": sum(map(math.isnan, scores)),
                "prompts": f"{tuning.prompts}{' held out of training' if tuning.held_out else ''}",
            }
        )
    return rows


def tuning_trials(runs: Sequence[StoredRun]) -> list[dict[str, Any]]:
    """The same with every trial, for scripts."""
    return [
        {"scenario": run.spec.scenario, "router": run.spec.router, "seed": run.spec.seed, "key": run.spec.key}
        | run.tuning.to_json()
        for run in runs
        if run.tuning is not None
    ]
