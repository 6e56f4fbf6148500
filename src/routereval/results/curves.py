"""Scaling curves in the results file: what a policy scores on random pools, one row per size."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.results.damage import DAMAGE, an_object, array

_LOG = logging.getLogger(__name__)

SCHEMA = """
CREATE TABLE IF NOT EXISTS curves (
    curve TEXT NOT NULL,         -- sha256 of the canonical JSON of spec
    m INTEGER NOT NULL,
    spec TEXT NOT NULL,          -- JSON
    expected REAL,               -- over all subsets of m models; NULL where nobody can say
    means BLOB NOT NULL,         -- zlib of float64 (draws): mean score on each random pool
    PRIMARY KEY (curve, m)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class CurveSpec:
    """One curve, before it is drawn.

    Parameters
    ----------
    policy, params : oracle, random, or a router.
    scope : ``all`` prompts or the ``test`` prompts.
    draws : how many random pools of each size.
    others : as in a run's spec.
    """

    benchmark: str
    policy: str
    params: Mapping[str, Any]
    encoder: str
    protocol: str
    scope: str
    draws: int
    seed: int
    data_hash: str
    code: str = ""

    @cached_property
    def key(self) -> str:
        """sha256 of the canonical JSON of all fields."""
        return hashlib.sha256(self.json.encode()).hexdigest()

    @cached_property
    def json(self) -> str:
        """Canonical JSON of all fields."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, eq=False)
class CurvePoint:
    """One size of a curve.

    Parameters
    ----------
    means : (draws,) mean score on each random pool of m models; pools of one size and seed are the same for every
        policy of a benchmark.
    expected : the mean over all subsets, where there is a closed form.
    """

    spec: CurveSpec
    m: int
    means: NDArray[np.float64]
    expected: float | None = None


def put(connection: sqlite3.Connection, points: list[CurvePoint]) -> None:
    """Store points, all or none; one that is there stays."""
    rows = [(p.spec.key, p.m, p.spec.json, p.expected, zlib.compress(p.means.tobytes())) for p in points]
    with connection:
        connection.executemany("INSERT OR IGNORE INTO curves VALUES (?, ?, ?, ?, ?)", rows)


def get(connection: sqlite3.Connection, spec: CurveSpec) -> dict[int, CurvePoint]:
    """The stored points of a curve by size."""
    rows = connection.execute("SELECT m, means, expected FROM curves WHERE curve = ? ORDER BY m", (spec.key,))
    points = (_point(spec, *row) for row in rows)
    return {point.m: point for point in points if point is not None}


def every(connection: sqlite3.Connection) -> Iterator[CurvePoint]:
    """All stored points, curve by curve, sizes ascending; none in a file from before there were any."""
    there = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'curves'").fetchone()
    if there is None:
        return
    specs: dict[str, CurveSpec | None] = {}
    for key, text, *values in connection.execute(
        "SELECT curve, spec, m, means, expected FROM curves ORDER BY curve, m"
    ):
        if key not in specs:
            specs[key] = _spec(text)
        spec = specs[key]
        point = None if spec is None else _point(spec, *values)
        if point is not None:
            yield point


def _spec(text: Any) -> CurveSpec | None:
    try:
        spec = CurveSpec(**an_object(text))
        hash(spec.key)
        return spec
    except DAMAGE as error:
        _LOG.warning("the spec of a stored curve is damaged (%s); it is left out", error)
        return None


def _point(spec: CurveSpec, m: Any, means: Any, expected: Any) -> CurvePoint | None:
    """A stored point; one that is damaged counts as not there."""
    try:
        if type(m) is not int or not isinstance(expected, float | None):
            raise ValueError(f"a point at {m!r:.40} with {expected!r:.40}")
        return CurvePoint(spec, m, array(means, np.float64, None), expected)
    except DAMAGE as error:
        _LOG.warning("a stored point of the curve of %s is damaged (%s); it is left out", spec.policy, error)
        return None
