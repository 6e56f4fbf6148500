"""What a scenario is tested on, kept beside the runs: a report reads the results file and nothing else."""

from __future__ import annotations

import json
import logging
import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from routereval.data.duplicates import clusters_of
from routereval.data.queries import Queries
from routereval.data.scenario import Scenario
from routereval.data.scores import ScoreMatrix
from routereval.results.damage import DAMAGE, array, is_scenario, texts

_LOG = logging.getLogger(__name__)

SCHEMA = """
CREATE TABLE IF NOT EXISTS scenarios (
    scenario TEXT NOT NULL,
    data_hash TEXT NOT NULL,
    prompt_ids BLOB NOT NULL,    -- zlib of JSON: n names
    subsets BLOB,                -- zlib of JSON: n names; NULL where the benchmark has no parts
    clusters BLOB NOT NULL,      -- zlib of int32 (n): near-identical prompts have the same number
    model_ids BLOB NOT NULL,     -- zlib of JSON: m names
    bits BLOB,                   -- zlib of uint64 (m, words): which prompts a model solved; NULL: graded
    observed BLOB,               -- zlib of uint64 (m, words): which were observed; NULL: all
    grades BLOB,                 -- zlib of float32 (n, m), nan where not observed; NULL: binary
    train_means BLOB NOT NULL,   -- zlib of float64 (m): mean score on the training prompts
    PRIMARY KEY (scenario, data_hash)
) WITHOUT ROWID;
"""

RecordKey = tuple[str, str]
"""A scenario's id and the hash of its data."""


@dataclass(frozen=True, eq=False)
class ScenarioRecord:
    """The test part of one scenario.

    Parameters
    ----------
    scenario, data_hash : which one.
    prompt_ids : n names of its test prompts, in the order of every run's per-prompt values.
    subsets : n names, the part of the benchmark each belongs to; None where there are no parts.
    clusters : (n,) int32; prompts that are near-identical have the same number.
    scores : n test prompts x m models of the pool.
    train_means : (m,) mean score of each model on the training prompts, nan where none was observed.
    """

    scenario: str
    data_hash: str
    prompt_ids: tuple[str, ...]
    subsets: tuple[str, ...] | None
    clusters: NDArray[np.int32]
    scores: ScoreMatrix
    train_means: NDArray[np.float64]

    @property
    def key(self) -> RecordKey:
        """Under which it is kept."""
        return self.scenario, self.data_hash

    @property
    def model_ids(self) -> tuple[str, ...]:
        """The m models of the pool, weakest first."""
        return self.scores.model_ids


def record_of(scenario: Scenario) -> ScenarioRecord:
    """What is kept of a scenario."""
    queries = scenario.test.queries
    return ScenarioRecord(
        scenario.id,
        scenario.data_hash,
        queries.ids,
        queries.subsets,
        _clusters(queries),
        scenario.test.scores,
        np.asarray(scenario.train.scores.model_means, dtype=np.float64),
    )


@lru_cache(maxsize=16)
def _clusters(queries: Queries) -> NDArray[np.int32]:
    return clusters_of(queries).astype(np.int32)


def put(connection: sqlite3.Connection, record: ScenarioRecord) -> None:
    """Store a record; one that is there stays."""
    scores = record.scores
    binary = scores.bits is not None
    row = (
        record.scenario,
        record.data_hash,
        _text(record.prompt_ids),
        None if record.subsets is None else _text(record.subsets),
        _array(record.clusters.astype(np.int32)),
        _text(record.model_ids),
        _array(scores.bits) if scores.bits is not None else None,
        _array(scores.observed_bits()) if binary and scores.observed is not None else None,
        None if binary else _array(scores.dense()),
        _array(record.train_means),
    )
    with connection:
        connection.execute(f"INSERT OR IGNORE INTO scenarios VALUES ({', '.join('?' * len(row))})", row)


def kept(connection: sqlite3.Connection) -> set[RecordKey]:
    """The keys of all records."""
    if not _there(connection):
        return set()
    return set(connection.execute("SELECT scenario, data_hash FROM scenarios"))


def get(connection: sqlite3.Connection, key: RecordKey | None = None) -> Iterator[ScenarioRecord]:
    """The record of that key, or every one."""
    if not _there(connection):
        return
    where = "" if key is None else "WHERE scenario = ? AND data_hash = ?"
    for row in connection.execute(f"SELECT {_COLUMNS} FROM scenarios {where} ORDER BY scenario, data_hash", key or ()):
        try:
            record = _read(*row)
        except DAMAGE as error:
            # As in a file from before there were any: reports say what they lack.
            _LOG.warning("the stored record of scenario %s is damaged (%s); it is left out", row[0], error)
            continue
        yield record


_COLUMNS = "scenario, data_hash, prompt_ids, subsets, clusters, model_ids, bits, observed, grades, train_means"


def _read(
    scenario: str,
    data_hash: str,
    prompts: bytes,
    subsets: bytes | None,
    clusters: bytes,
    models: bytes,
    bits: bytes | None,
    observed: bytes | None,
    grades: bytes | None,
    means: bytes,
) -> ScenarioRecord:
    prompt_ids, model_ids = _names(prompts), _names(models)
    n, m = len(prompt_ids), len(model_ids)
    if not (is_scenario(scenario) and isinstance(data_hash, str)):
        raise ValueError("it has no scenario")
    if bits is not None:
        mask = None if observed is None else _bits(observed, n, m)
        scores = ScoreMatrix(prompt_ids, model_ids, bits=_bits(bits, n, m), observed=mask)
    elif grades is not None:
        scores = ScoreMatrix(prompt_ids, model_ids, values=array(grades, np.float32, (n, m)))
    else:
        raise ValueError("it has no scores")
    names = None if subsets is None else _names(subsets)
    if names is not None and len(names) != n:
        raise ValueError(f"{len(names)} subsets for {n} prompts")
    numbers, train_means = array(clusters, np.int32, (n,)), array(means, np.float64, (m,))
    return ScenarioRecord(scenario, data_hash, prompt_ids, names, numbers, scores, train_means)


def _there(connection: sqlite3.Connection) -> bool:
    # A file that is only read may be one from before there were any.
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'scenarios'").fetchone()
    return found is not None


def _text(names: tuple[str, ...]) -> bytes:
    return zlib.compress(json.dumps(names, separators=(",", ":")).encode())


def _names(blob: bytes) -> tuple[str, ...]:
    return tuple(texts(zlib.decompress(blob)))


def _array(values: NDArray[np.generic]) -> bytes:
    return zlib.compress(np.ascontiguousarray(values).tobytes())


def _bits(blob: bytes, prompts: int, models: int) -> NDArray[np.uint64]:
    return array(blob, np.uint64, (models, -(-prompts // 64)))
