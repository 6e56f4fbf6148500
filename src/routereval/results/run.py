"""What a run is: what was asked (``RunSpec``) and what came of it (``RunResult``)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from routereval.data.outcome import Outcome
from routereval.metrics import METRICS
from routereval.stats import Interval, intervals
from routereval.tuning import Tuning

PREDICTIONS_FILE = "file:"
"""How the name of a router begins that took part by a predictions file."""


@dataclass(frozen=True)
class RunSpec:
    """One run, before it is done: whatever changes any of this is another run.

    Parameters
    ----------
    scenario : id ``benchmark/strategy/m``.
    router : name or import path, of a router or a reference.
    params : its parameters, all of them, without the seed.
    encoder, protocol, seed : which embeddings, which rules, which randomness.
    data_hash : sha256 that names the data.
    code : sha256 of the source of a router that is not ours and of the files that its parameters name, so that editing
        them makes another run; empty where there are none.
    train_size : how many of the training prompts it may learn from, drawn at random; None: all.
    """

    scenario: str
    router: str
    params: Mapping[str, Any]
    encoder: str
    protocol: str
    seed: int
    data_hash: str
    code: str = ""
    train_size: int | None = None

    @cached_property
    def key(self) -> str:
        """sha256 of the canonical JSON of all fields, ``train_size`` only where it is given."""
        fields = asdict(self)
        if self.train_size is None:
            # Such a run is the one that it was before there were any others.
            del fields["train_size"]
        return hashlib.sha256(canonical_json(fields).encode()).hexdigest()

    @property
    def benchmark(self) -> str:
        """The first part of the scenario's id."""
        return self.scenario.split("/", maxsplit=1)[0]

    @property
    def m(self) -> int:
        """The last part of the scenario's id: how many candidates."""
        return int(self.scenario.rsplit("/", maxsplit=1)[-1])


@dataclass(frozen=True, eq=False)
class RunResult:
    """What came of one run.

    Parameters
    ----------
    outcome : per-prompt values; None where the run failed.
    seconds : of fitting (tuning included) and predicting; a fit that served several scenarios is divided evenly among
        them.
    predict_seconds : the part of these that went into predicting the test queries.
    error : why the run failed, or None.
    notes : what a reader of the numbers should know.
    tuning : which parameters were tried and chosen; None where they were given.
    """

    spec: RunSpec
    outcome: Outcome | None
    seconds: float
    error: str | None = None
    notes: tuple[str, ...] = field(default=())
    tuning: Tuning | None = None
    predict_seconds: float = 0.0

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Every metric by name; nan where it does not exist, empty where the run failed."""
        return {} if self.outcome is None else {name: metric(self.outcome) for name, metric in METRICS.items()}

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """95 % bootstrap interval of every metric that has one."""
        return {} if self.outcome is None else intervals(self.outcome)

    def __getattr__(self, name: str) -> float:
        # result.mu, result.V_B: a metric reads like a field.
        if name in METRICS:
            return self.metrics.get(name, float("nan"))
        raise AttributeError(f"a RunResult has no {name!r}")

    def __str__(self) -> str:
        spec = self.spec
        part = "" if spec.train_size is None else f", {spec.train_size} training prompts"
        head = f"{router_label(spec.router, spec.params)} on {spec.scenario} ({spec.protocol}, seed {spec.seed}{part})"
        if self.outcome is None:
            return f"{head}: failed: {self.error}"
        lines = [f"{head}: {int(self.outcome.counted.sum())} test prompts, {len(self.outcome.model_ids)} candidates"]
        for name in METRICS:
            value = self.metrics[name]
            if value != value:
                continue
            low, high = self.intervals.get(name, (float("nan"), float("nan")))
            spread = f"  [{low:.3f}, {high:.3f}]" if low == low else ""
            number = f"{value:.0f}" if name == "models_used" else f"{value:.3f}"
            lines.append(f"  {name:<14} {number:>7}{spread}")
        if self.tuning is not None:
            lines.append(f"  tuned: {self.tuning}")
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def router_label(router: str, params: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> str:
    """``knn:k=50``: the name and those parameters that are not the defaults; of a predictions file the name alone."""
    if router.startswith(PREDICTIONS_FILE):
        return router.removeprefix(PREDICTIONS_FILE)
    shown = {k: v for k, v in params.items() if defaults is None or k not in defaults or defaults[k] != v}
    return router + (":" + ",".join(f"{k}={v}" for k, v in shown.items()) if shown else "")
