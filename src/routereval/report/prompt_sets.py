"""Scenarios that are tested on the same prompts, and which of these prompts belong together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from routereval.report.compared_cells import ComparedCell
from routereval.results import RunSpec
from routereval.results.records import ScenarioRecord
from routereval.stats.clustered import FEW, Clusters


class ClusterBy(StrEnum):
    """What is drawn as a whole when prompts are resampled."""

    prompts = "prompts"
    """Each prompt by itself: other prompts like these, none a copy of another."""
    duplicates = "duplicates"
    """Near-duplicates together: a question asked twice is one question."""
    subset = "subset"
    """Subsets together: other subjects like these, not only other questions of the same subjects."""


@dataclass(frozen=True, eq=False)
class PromptSet:
    """The test prompts of one benchmark, and the cells that are tested on them.

    Parameters
    ----------
    by : what the clusters are; what was asked for, or the next best that there is.
    counted : (n,) which prompts count in any cell.
    """

    benchmark: str
    data_hash: str
    by: ClusterBy
    clusters: Clusters
    counted: NDArray[np.bool_]
    cells: tuple[ComparedCell, ...]

    @property
    def names(self) -> tuple[str, str, int]:
        """What its resamples are seeded with."""
        return self.benchmark, self.data_hash, len(self.counted)

    @cached_property
    def prompts(self) -> int:
        """How many count."""
        return int(self.counted.sum())

    @cached_property
    def drawn(self) -> int:
        """How many clusters have a prompt that counts."""
        return int((self.clusters.sums(self.counted.astype(np.float64)) > 0).sum())


@dataclass
class _Same:
    """Cells on the same prompts, while they are put together."""

    record: ScenarioRecord | None
    cells: list[ComparedCell] = field(default_factory=list)


def prompt_sets(
    cells: Sequence[ComparedCell], record: Callable[[RunSpec], ScenarioRecord | None], by: ClusterBy
) -> tuple[list[PromptSet], list[str]]:
    """The sets of prompts, and what a reader should know of their clusters."""
    same: dict[tuple[str, str, int, str], _Same] = {}
    for cell in cells:
        kept = record_for(cell, record)
        digest = "" if kept is None else hashlib.sha256("\0".join(kept.prompt_ids).encode(errors="replace")).hexdigest()
        key = (cell.spec.benchmark, cell.spec.data_hash, len(cell.counted), digest)
        same.setdefault(key, _Same(kept)).cells.append(cell)
    found: list[PromptSet] = []
    notes: dict[str, list[str]] = {}
    for (benchmark, data_hash, n, _), one in same.items():
        actual, clusters, said = _clusters(n, one.record, by)
        counted = np.logical_or.reduce([cell.counted for cell in one.cells])
        made = PromptSet(benchmark, data_hash, actual, clusters, counted, tuple(one.cells))
        if said:
            notes.setdefault(said, []).append(benchmark)
        if made.drawn < FEW:
            what = {"prompts": "prompts", "duplicates": "groups of near-duplicates", "subset": "subsets"}[actual.value]
            few = f"{made.drawn} {what}; with fewer than {FEW} intervals and tests say little"
            notes.setdefault(few, []).append(benchmark)
        found.append(made)
    return found, [f"{', '.join(dict.fromkeys(names))}: {said}" for said, names in notes.items()]


def record_for(cell: ComparedCell, record: Callable[[RunSpec], ScenarioRecord | None]) -> ScenarioRecord | None:
    """The record of a cell, where there is one that has as many prompts as its runs have."""
    kept = record(cell.spec)
    return kept if kept is not None and len(kept.prompt_ids) == len(cell.counted) else None


def _clusters(n: int, record: ScenarioRecord | None, by: ClusterBy) -> tuple[ClusterBy, Clusters, str | None]:
    if by is ClusterBy.prompts:
        return by, Clusters.singletons(n), None
    if record is None:
        note = "the results do not keep the prompts (older runs), so each is a cluster of its own"
        return ClusterBy.prompts, Clusters.singletons(n), note
    if by is ClusterBy.subset:
        if record.subsets is not None and len(set(record.subsets)) > 1:
            return by, Clusters.of(record.subsets), None
        note = "no subsets, or one only; near-duplicate prompts are the clusters instead"
        return ClusterBy.duplicates, Clusters.of(record.clusters), note
    return by, Clusters.of(record.clusters), None
