"""When two rows of one key say the same: for runs, curves, scenarios and submissions."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.results import curves, records, submitted

TOLERANCE = 1e-9
"""Up to this, numbers are the same: two machines may add up in another order."""

Row = Mapping[str, Any]
"""A row by its columns' names; an older format has fewer."""

Differences = Callable[[Row, Row], list[str]]

_DAMAGE = (zlib.error, ValueError, TypeError, AttributeError, KeyError)
_SPEC = ("scenario", "router", "params", "encoder", "protocol", "seed", "data_hash", "code", "train_size")


def _always(row: Row) -> bool:
    return True


def _never(row: Row) -> str:
    return ""


def _alike(row: Row) -> int:
    return 0


@dataclass(frozen=True)
class Rules:
    """How rows of one table are put together.

    Parameters
    ----------
    table, key, key_types : its name, its primary key, and what that consists of.
    schema : makes it where it is not.
    needed : columns without which the table is none of ours.
    differences : what two rows of one key disagree on, a sentence each; empty where they agree.
    name : what a row is about, for a person.
    succeeded : whether it counts; one that does not gives way to one that does.
    date : when it was made, ISO 8601; empty where nobody knows.
    richness : of rows that agree the one with the highest is taken.
    """

    table: str
    key: tuple[str, ...]
    key_types: tuple[type, ...]
    schema: str
    needed: tuple[str, ...]
    differences: Differences
    name: Callable[[Row], str]
    succeeded: Callable[[Row], bool] = _always
    date: Callable[[Row], str] = _never
    richness: Callable[[Row], int] = _alike


def run_differences(one: Row, other: Row) -> list[str]:
    """What two successful runs of one key disagree on: what they are, the choices, the metrics."""
    asked = [name for name in _SPEC if one.get(name) != other.get(name)]
    if asked:
        return [f"not the same run: {name} {one.get(name)} / {other.get(name)}" for name in asked]
    if (one["prompts"], one["models"]) != (other["prompts"], other["models"]):
        return [f"{one['prompts']} x {one['models']} / {other['prompts']} x {other['models']} prompts x models"]
    return _choices(one["choices"], other["choices"]) + _metrics(one["metrics"], other["metrics"])


def _run_name(row: Row) -> str:
    size = row.get("train_size")
    asked = [str(row["protocol"]), f"encoder {row['encoder']}", f"seed {row['seed']}"]
    asked += [] if size is None else [f"{size} training prompts"]
    return f"{row['router']} on {row['scenario']} ({', '.join(asked)}, key {row['key'][:12]})"


def _choices(one: bytes | None, other: bytes | None) -> list[str]:
    if one == other:
        return []
    if one is None or other is None:
        return ["choices are kept in only one of them"]
    try:
        a, b = (np.frombuffer(zlib.decompress(blob), dtype=np.int32) for blob in (one, other))
        if a.shape != b.shape:
            return [f"choices for {len(a)} / {len(b)} prompts"]
    except _DAMAGE as error:
        return [f"choices that cannot be compared: {error}"]
    count = int((a != b).sum())
    return [f"choices differ on {count} of {len(a)} prompts"] if count else []


def _metrics(one: str, other: str) -> list[str]:
    if one == other:
        return []
    try:
        a, b = json.loads(one), json.loads(other)
        # A metric that only one version of the package knows is no contradiction.
        differing = [name for name in a if name in b and not _same(a[name], b[name])]
        said = ", ".join(f"{name} {_number(a[name])} / {_number(b[name])}" for name in differing)
    except _DAMAGE as error:
        return [f"metrics that cannot be compared: {error}"]
    return [said] if said else []


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= TOLERANCE


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


def _columns_of(row: Row) -> int:
    try:
        return len(json.loads(row["columns"]))
    except _DAMAGE:
        return -1


def point_differences(one: Row, other: Row) -> list[str]:
    """What two points of one curve disagree on."""
    try:
        same = _same(one["expected"], other["expected"])
    except _DAMAGE:
        same = False
    found = [] if same else ["the expected value differs"]
    return found + _array("means", np.float64, one, other)


def _point_name(row: Row) -> str:
    try:
        spec = json.loads(row["spec"])
        # The oracle's and chance's have neither.
        by = "" if spec["protocol"] == "none" else f" ({spec['protocol']}, encoder {spec['encoder']})"
        return f"curve of {spec['policy']} on {spec['benchmark']}, m = {row['m']}{by}"
    except _DAMAGE:
        return f"curve {row['curve']}, m = {row['m']}"


def record_differences(one: Row, other: Row) -> list[str]:
    """What two records of one scenario disagree on.

    Groups of near-identical prompts are not compared: they go by embeddings too, and runs on other embeddings share
    the record.
    """
    found = [
        f"{what} differ"
        for name, what in (
            *(("prompt_ids", "test prompts"), ("subsets", "subsets"), ("model_ids", "models")),
            *(("bits", "scores"), ("observed", "observed cells")),
        )
        if one[name] != other[name] and _unpacked(one[name]) != _unpacked(other[name])
    ]
    return found + _array("grades", np.float32, one, other) + _array("train_means", np.float64, one, other)


def _unpacked(blob: bytes | None) -> bytes | None:
    try:
        return None if blob is None else zlib.decompress(blob)
    except _DAMAGE:
        return blob


def _array(name: str, kind: type[np.floating], one: Row, other: Row) -> list[str]:
    what = name.replace("_", " ")
    if one[name] == other[name]:
        return []
    if one[name] is None or other[name] is None:
        return [f"{what} are kept in only one of them"]
    try:
        a, b = (_numbers(row[name], kind) for row in (one, other))
    except _DAMAGE as error:
        return [f"{what} that cannot be compared: {error}"]
    same = a.shape == b.shape and np.allclose(a, b, rtol=0, atol=TOLERANCE, equal_nan=True)
    return [] if same else [f"{what} differ"]


def _numbers(blob: bytes, kind: type[np.floating]) -> NDArray[np.float64]:
    return np.frombuffer(zlib.decompress(blob), dtype=kind).astype(np.float64)


def submission_differences(one: Row, other: Row) -> list[str]:
    """What two descriptions of one submission disagree on."""
    try:
        a, b = json.loads(one["metadata"]), json.loads(other["metadata"])
        names = sorted(name for name in {*a, *b} if a.get(name) != b.get(name))
    except _DAMAGE as error:
        return [f"descriptions that cannot be compared: {error}"]
    return [f"described differently: {', '.join(names)}"] if names else []


RULES = (
    Rules(
        "runs",
        key=("key",),
        key_types=(str,),
        schema="",  # every results file has it
        needed=(
            *("key", *_SPEC[:-1], "error", "seconds", "ended", "metrics", "intervals", "notes", "versions"),
            *("prompts", "models", "columns", "per_prompt", "counted", "share", "choices"),
        ),
        differences=run_differences,
        name=_run_name,
        succeeded=lambda row: row["error"] is None,
        date=lambda row: str(row["ended"]),
        richness=_columns_of,
    ),
    Rules(
        "curves",
        key=("curve", "m"),
        key_types=(str, int),
        schema=curves.SCHEMA,
        needed=("curve", "m", "spec", "expected", "means"),
        differences=point_differences,
        name=_point_name,
    ),
    Rules(
        "scenarios",
        key=("scenario", "data_hash"),
        key_types=(str, str),
        schema=records.SCHEMA,
        needed=(
            *("scenario", "data_hash", "prompt_ids", "subsets", "clusters", "model_ids"),
            *("bits", "observed", "grades", "train_means"),
        ),
        differences=record_differences,
        name=lambda row: f"scenario {row['scenario']} (data {row['data_hash'][:12]})",
    ),
    Rules(
        "submissions",
        key=("submission",),
        key_types=(str,),
        schema=submitted.SCHEMA,
        needed=("submission", "router", "metadata", "warnings", "added"),
        differences=submission_differences,
        name=lambda row: f"submission {row['router']} ({row['submission'][:12]})",
        date=lambda row: str(row["added"]),
    ),
)
"""Every table of a results file."""
