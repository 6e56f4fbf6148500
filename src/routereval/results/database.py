"""The results file: one SQLite database, one row and one transaction per run."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from routereval.data.outcome import Outcome
from routereval.errors import ResultsError
from routereval.results import columns, curves, records
from routereval.results.columns import RunColumns
from routereval.results.curves import CurvePoint, CurveSpec
from routereval.results.damage import DAMAGE, an_object, array, check_run, is_scenario, numbers, texts
from routereval.results.records import RecordKey, ScenarioRecord
from routereval.results.run import RunResult, RunSpec, canonical_json
from routereval.results.sqlite_file import connect, reporting
from routereval.stats import Interval
from routereval.tuning import Tuning


@dataclass(frozen=True)
class StoredRun:
    """A row of the results file.

    Parameters
    ----------
    metrics, intervals : as computed when the run ended; nan where a metric does not exist.
    ended : when it was stored, UTC, ISO 8601; empty where it was not.
    key : what it was stored under, which its spec must give.
    outcome : the per-prompt values; None where the run failed, or where they were not asked for. Its ids are numbers;
        the names are in the scenario's record.
    tuning : which parameters were tried and chosen, where any were.
    """

    spec: RunSpec
    metrics: dict[str, float]
    intervals: dict[str, Interval]
    seconds: float
    error: str | None
    notes: tuple[str, ...]
    versions: dict[str, str]
    outcome: Outcome | None
    ended: str = ""
    key: str = ""
    tuning: Tuning | None = None
    predict_seconds: float = 0.0

    @classmethod
    def of(cls, result: RunResult) -> StoredRun:
        """A result as it would be read back."""
        return cls(
            *(result.spec, result.metrics, result.intervals, result.seconds, result.error, result.notes, versions()),
            outcome=result.outcome,
            tuning=result.tuning,
            predict_seconds=result.predict_seconds,
        )


class ResultStore:
    """A results file, open.

    Any number of processes may have it open; each run is written in one transaction, so a file is whole at any time.

    Raises
    ------
    ResultsError : not a results file of ours, one from a newer version, or one that cannot be written.
    """

    def __init__(self, path: Path, *, create: bool = True):
        self.path = path
        if not create and not path.is_file():
            raise ResultsError(f"there is no results file {path}; make one with: routereval run --results {path}")
        self._connection = connect(path, create)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def done(self) -> set[str]:
        """The keys of all runs that succeeded."""
        with reporting(self.path):
            found = self._connection.execute("SELECT key FROM runs WHERE error IS NULL AND typeof(key) = 'text'")
            return {key for (key,) in found}

    def is_done(self, key: str) -> bool:
        """Whether this run is stored and succeeded."""
        query = "SELECT 1 FROM runs WHERE key = ? AND error IS NULL"
        with reporting(self.path):
            return self._connection.execute(query, (key,)).fetchone() is not None

    def put(self, result: RunResult) -> None:
        """Store a run. One that succeeded already stays as it is; a failed one gives way."""
        self.put_all([result])

    def put_all(self, results: Sequence[RunResult]) -> None:
        """Store several runs in one transaction, all or none of them."""
        rows = [_row(result) for result in results]
        with reporting(self.path), self._connection:
            for row in rows:
                names = ", ".join(row)
                marks = ", ".join("?" * len(row))
                update = ", ".join(f"{name} = excluded.{name}" for name in row if name != "key")
                self._connection.execute(
                    f"INSERT INTO runs ({names}) VALUES ({marks}) "
                    f"ON CONFLICT (key) DO UPDATE SET {update} WHERE runs.error IS NOT NULL",
                    tuple(row.values()),
                )

    def runs(self, keys: set[str] | None = None, *, outcomes: bool = True) -> list[StoredRun]:
        """Every run, or those with these keys, by scenario, then router.

        Parameters
        ----------
        outcomes : whether the per-prompt values are read too, which is most of the work and the memory.
        """
        return list(self.iter_runs(keys, outcomes=outcomes))

    def iter_runs(self, keys: set[str] | None = None, *, outcomes: bool = True) -> Iterator[StoredRun]:
        """The same, one at a time: a file may hold more than the memory does."""
        order = "ORDER BY scenario, router, params, encoder, protocol, seed, key"
        where = "" if keys is None else "WHERE key IN (SELECT value FROM json_each(?))"
        with reporting(self.path):
            have = [row[1] for row in self._connection.execute("PRAGMA table_info(runs)")]
            wanted = [name for name in have if outcomes or name not in _BLOBS]
            # A cursor of its own: whoever gets these may store others meanwhile.
            cursor = self._connection.cursor()
            cursor.execute(
                f"SELECT {', '.join(wanted)} FROM runs {where} {order}", () if keys is None else (json.dumps([*keys]),)
            )
            for row in cursor:
                yield _read(dict(zip(wanted, row, strict=True)))

    def iter_columns(self, keys: Collection[str], names: Sequence[str]) -> Iterator[RunColumns]:
        """Per-prompt values of these names of these runs, one at a time, and nothing else: quicker than runs."""
        with reporting(self.path):
            yield from columns.get(self._connection, keys, names)

    def put_record(self, record: ScenarioRecord) -> None:
        """Store what a scenario is tested on; one that is there stays."""
        with reporting(self.path):
            records.put(self._connection, record)

    def recorded(self) -> set[RecordKey]:
        """The scenarios, each with the hash of its data, that have a record."""
        with reporting(self.path):
            return records.kept(self._connection)

    def records(self) -> dict[RecordKey, ScenarioRecord]:
        """Every scenario's record; a file from before there were any has none."""
        with reporting(self.path):
            return {record.key: record for record in records.get(self._connection)}

    def record(self, spec: RunSpec) -> ScenarioRecord | None:
        """What the scenario of this run is tested on; None in a file from before that was kept."""
        with reporting(self.path):
            return next(records.get(self._connection, (spec.scenario, spec.data_hash)), None)

    def put_points(self, points: list[CurvePoint]) -> None:
        """Store points of scaling curves, all or none."""
        with reporting(self.path):
            curves.put(self._connection, points)

    def points(self, spec: CurveSpec) -> dict[int, CurvePoint]:
        """The stored points of a scaling curve by size."""
        with reporting(self.path):
            return curves.get(self._connection, spec)

    def all_points(self) -> list[CurvePoint]:
        """The points of all stored scaling curves, curve by curve, sizes ascending."""
        with reporting(self.path):
            return list(curves.every(self._connection))


_BLOBS = ("per_prompt", "counted", "share", "choices")


def versions() -> dict[str, str]:
    """Versions of this package and of what it computes with."""
    return dict(_versions())


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    from importlib.metadata import version

    return tuple((name, version(name)) for name in ("routereval", "numpy", "scikit-learn", "numba"))


def _row(result: RunResult) -> dict[str, Any]:
    spec, outcome = result.spec, result.outcome
    row: dict[str, Any] = {
        "key": spec.key,
        "scenario": spec.scenario,
        "router": spec.router,
        "params": canonical_json(dict(spec.params)),
        "encoder": spec.encoder,
        "protocol": spec.protocol,
        "seed": spec.seed,
        "data_hash": spec.data_hash,
        "code": spec.code,
        "error": result.error,
        "seconds": result.seconds,
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "metrics": canonical_json({name: _null(value) for name, value in result.metrics.items()}),
        "intervals": canonical_json({k: [_null(low), _null(high)] for k, (low, high) in result.intervals.items()}),
        "notes": canonical_json(list(result.notes)),
        "versions": canonical_json(versions()),
        "prompts": 0,
        "models": spec.m,
        "columns": "[]",
        "per_prompt": None,
        "counted": None,
        "share": None,
        "choices": None,
        "tuning": None if result.tuning is None else canonical_json(result.tuning.to_json()),
        "predict_seconds": result.predict_seconds,
        "train_size": spec.train_size,
    }
    if outcome is not None:
        row |= {
            "prompts": len(outcome.prompt_ids),
            "models": len(outcome.model_ids),
            "columns": canonical_json(list(outcome.columns)),
            "per_prompt": _pack(np.stack(list(outcome.columns.values()))),
            "counted": _pack(outcome.counted.astype(np.uint8)),
            "share": _pack(outcome.share),
            "choices": None if outcome.choices is None else _pack(outcome.choices),
        }
    return row


def _read(row: dict[str, Any]) -> StoredRun:
    """A row as a run; one that is damaged as a failed run that says so."""
    try:
        return _stored(row)
    except DAMAGE as error:
        text = {name: row[name] if isinstance(row[name], str) else "?" for name in ("scenario", "router", "encoder")}
        scenario = text["scenario"] if is_scenario(row["scenario"]) else "?/?/0"
        spec = RunSpec(scenario, text["router"], {}, text["encoder"], str(row["protocol"]), 0, "")
        damage = f"the stored row is damaged ({type(error).__name__}: {error}); key {row['key']}"
        return StoredRun(spec, {}, {}, 0.0, damage, (), {}, None, key=str(row["key"]))


@lru_cache(maxsize=4096)
def _repeated(text: str) -> dict[str, Any]:
    """A JSON object that many rows hold alike; not to be changed."""
    return an_object(text)


def _stored(row: dict[str, Any]) -> StoredRun:
    check_run(row)
    spec = RunSpec(
        row["scenario"],
        row["router"],
        dict(_repeated(row["params"])),
        row["encoder"],
        row["protocol"],
        row["seed"],
        row["data_hash"],
        row["code"],
        row.get("train_size"),
    )
    metrics, bounds = an_object(row["metrics"]), an_object(row["intervals"])
    lows, highs = numbers(low for low, _ in bounds.values()), numbers(high for _, high in bounds.values())
    return StoredRun(
        spec=spec,
        metrics=dict(zip(metrics, numbers(metrics.values()), strict=True)),
        intervals=dict(zip(bounds, zip(lows, highs, strict=True), strict=True)),
        seconds=row["seconds"],
        error=row["error"],
        notes=tuple(texts(row["notes"])),
        versions={name: str(version) for name, version in _repeated(row["versions"]).items()},
        outcome=None if row.get("per_prompt") is None else _outcome(row),
        ended=row["ended"],
        key=row["key"],
        # A file that is only read may be one from before there was any tuning.
        tuning=Tuning.from_json(json.loads(row["tuning"])) if row.get("tuning") else None,
        predict_seconds=row.get("predict_seconds") or 0.0,
    )


def _outcome(row: dict[str, Any]) -> Outcome:
    names, n, m = texts(row["columns"]), row["prompts"], row["models"]
    values = array(row["per_prompt"], np.float64, (len(names), n))
    counted = array(row["counted"], np.uint8, (n,)).astype(np.bool_)
    share = array(row["share"], np.float64, (m,))
    choices = None if row["choices"] is None else array(row["choices"], np.int32, (n,))
    if choices is not None and not ((choices >= -1) & (choices < m)).all():
        raise ValueError(f"a choice that is none of {m} models")
    return Outcome(
        prompt_ids=tuple(map(str, range(n))),
        model_ids=tuple(map(str, range(m))),
        counted=counted,
        columns=dict(zip(names, values, strict=True)),
        share=share,
        choices=choices,
    )


def _pack(values: np.ndarray[Any, Any]) -> bytes:
    return zlib.compress(np.ascontiguousarray(values).tobytes(), 6)


def _null(value: float) -> float | None:
    return None if math.isnan(value) else value
