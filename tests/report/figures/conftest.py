"""Small results files with numbers that can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import routereval as rv
from routereval.data.outcome import Outcome
from routereval.data.scores import ScoreMatrix
from routereval.results import ResultStore
from routereval.results.records import ScenarioRecord

MODELS = ("weak", "strong")
BEST_SINGLE = [1.0, 0.0, 1.0, 0.0]
ORACLE = [1.0, 1.0, 1.0, 0.0]


def _run(
    router: str,
    chosen: list[float],
    *,
    benchmark: str = "one",
    strategy: str = "all_strong",
    m: int = 2,
    seed: int = 0,
    train_size: int | None = None,
    share: tuple[float, ...] = (0.5, 0.5),
    predicted: list[float] | None = None,
    entropy: float | None = 1.0,
    params: dict[str, Any] | None = None,
    protocol: str = "strict",
    encoder: str = "shipped",
    data_hash: str = "d" * 16,
    error: str | None = None,
) -> rv.RunResult:
    """A run on four prompts; the best single model solves half of them, the oracle three quarters."""
    n = len(chosen)
    columns = {
        "chosen": np.array(chosen),
        "oracle": np.array(ORACLE[:n]),
        "best_single": np.array(BEST_SINGLE[:n]),
        "best_single_train": np.array(BEST_SINGLE[:n]),
        "baseline": np.array(BEST_SINGLE[:n]),
    }
    if entropy is not None:
        columns["entropy"] = np.full(n, entropy)
    if predicted is not None:
        columns["predicted"] = np.array(predicted)
    models = tuple(map(str, range(len(share))))
    outcome = Outcome(tuple(map(str, range(n))), models, np.ones(n, dtype=bool), columns, np.array(share))
    spec = rv.RunSpec(
        f"{benchmark}/{strategy}/{m}",
        router,
        params or {},
        encoder,
        protocol,
        seed,
        data_hash,
        train_size=train_size,
    )
    return rv.RunResult(spec, None if error else outcome, 1.0, error=error)


def _record(
    scores: list[list[float]],
    *,
    scenario: str = "one/all_strong/2",
    models: tuple[str, ...] = MODELS,
    data_hash: str = "d" * 16,
) -> ScenarioRecord:
    """What the models of a pool scored, prompts x models."""
    ids = tuple(map(str, range(len(scores))))
    return ScenarioRecord(
        scenario=scenario,
        data_hash=data_hash,
        prompt_ids=ids,
        subsets=None,
        clusters=np.arange(len(scores), dtype=np.int32),
        scores=ScoreMatrix.from_dense(np.array(scores), ids, models),
        train_means=np.full(len(models), 0.5),
    )


@pytest.fixture
def run() -> Callable[..., rv.RunResult]:
    """Makes a run."""
    return _run


@pytest.fixture
def record() -> Callable[..., ScenarioRecord]:
    """Makes a scenario's record."""
    return _record


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Callable[..., ResultStore]]:
    """Makes a results file of runs and records, open."""
    opened: list[ResultStore] = []

    def make(runs: list[rv.RunResult], records: list[ScenarioRecord] | None = None) -> ResultStore:
        store = ResultStore(tmp_path / f"{len(opened)}.sqlite")
        opened.append(store)
        for one in runs:
            store.put(one)
        for kept in records or ():
            store.put_record(kept)
        return store

    yield make
    for store in opened:
        store.close()
