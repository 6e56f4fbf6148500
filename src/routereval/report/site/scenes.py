"""What each router scores on one scenario, and on every resample of its prompts: one matrix product for all."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.data.outcome import Outcome
from routereval.report.site.inventory import Run, Scene
from routereval.results import ResultStore
from routereval.results.columns import RunColumns
from routereval.stats import resampled_means

SHARED = ("best_single_train", "oracle", "reference", "best_single")
"""Columns that do not depend on the router."""


@dataclass(frozen=True, eq=False)
class SceneNumbers:
    """One scenario in numbers; D = 1 for the means themselves, or one for each resample.

    Parameters
    ----------
    rows : (k,) which routers; those with a failed run are not among them.
    mu, entropy : (k, D) mean over the seeds of the mean score, and of E_p; nan where a router has none.
    shared : (sets, 4, D) means of the columns ``SHARED``, as a rule one set for all routers; ``of`` (k,) says whose.
    prompts : how many count.
    """

    scene: Scene
    rows: NDArray[np.intp]
    mu: NDArray[np.floating]
    entropy: NDArray[np.floating]
    shared: NDArray[np.floating]
    of: NDArray[np.intp]
    prompts: int


@dataclass(frozen=True)
class ReadScene:
    """What was read of a scenario.

    Parameters
    ----------
    means, drawn : its numbers; once, and in every resample.
    damaged : key and reason of each run of which nothing could be made; its router's numbers are nan.
    """

    means: SceneNumbers
    drawn: SceneNumbers
    damaged: tuple[tuple[str, str], ...] = ()


def read_scene(store: ResultStore, scene: Scene, by_router: Mapping[int, Sequence[Run]]) -> ReadScene | None:
    """The means, and those of every resample; None where nothing can be made of any run.

    Runs are read one at a time. Scores of a router's seeds are averaged prompt by prompt first, which changes no mean.
    """
    router_of = {
        run.key: index for index, runs in by_router.items() if all(run.error is None for run in runs) for run in runs
    }
    gathered = _Gathered()
    for run in store.iter_columns(router_of, (*SHARED, "chosen", "entropy")):
        gathered.add(router_of[run.key], run)
    return gathered.read(scene, sorted(set(router_of.values()))) if gathered.sets else None


def read_scenes(results: Path, scenes: Mapping[Scene, Mapping[int, Sequence[Run]]]) -> Iterator[ReadScene | None]:
    """:func:`read_scene` of one scenario after the other, the next ones being read meanwhile, one on each processor."""

    def read(scene: Scene) -> ReadScene | None:
        # A connection of its own: SQLite's belong to the thread that opened them.
        with ResultStore(results, create=False) as store:
            return read_scene(store, scene, scenes[scene])

    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        ahead: deque[Future[ReadScene | None]] = deque()
        try:
            for scene in scenes:
                ahead.append(pool.submit(read, scene))
                if len(ahead) > workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()


@dataclass
class _Row:
    """Sums over the seeds of a router, and which of the sets of shared columns is its."""

    of: int
    chosen: NDArray[np.float64]
    entropy: NDArray[np.float64] | None
    seeds: int = 1


@dataclass
class _Gathered:
    """Routers, and the columns that they share."""

    rows: dict[int, _Row] = field(default_factory=dict)
    sets: list[tuple[NDArray[np.bool_], tuple[str, ...], NDArray[np.float64]]] = field(default_factory=list)
    known: dict[tuple[Any, ...], int] = field(default_factory=dict)
    damaged: dict[int, list[tuple[str, str]]] = field(default_factory=dict)

    def add(self, router: int, run: RunColumns) -> None:
        """Take in a run; one without scores, or on other prompts than the router's first seed, counts as damaged."""
        if run.damage or "chosen" not in run.columns:
            self.damaged.setdefault(router, []).append((run.key, run.damage or "no scores of the chosen models"))
            return
        which = self._set(run)
        chosen, entropy = run.columns["chosen"], run.columns.get("entropy")
        row = self.rows.get(router)
        if row is None:
            self.rows[router] = _Row(which, chosen, entropy)
        elif row.of != which:
            self.damaged.setdefault(router, []).append(
                (run.key, "its prompts are not those of the router's other seeds")
            )
        else:
            row.chosen = row.chosen + chosen
            row.entropy = None if row.entropy is None or entropy is None else row.entropy + entropy
            row.seeds += 1

    def _set(self, run: RunColumns) -> int:
        names = tuple(name for name in SHARED if name in run.columns)
        known = (names, run.counted.tobytes(), *(run.columns[name].tobytes() for name in names))
        if known not in self.known:
            stacked = np.stack([run.columns[name] for name in names]) if names else np.zeros((0, len(run.counted)))
            self.known[known] = len(self.sets)
            self.sets.append((run.counted, names, stacked))
        return self.known[known]

    def read(self, scene: Scene, routers: Sequence[int]) -> ReadScene:
        """Every router of the scenario; one that is damaged has nan for numbers, so that no mean covers less."""
        rows = np.array(routers, dtype=np.intp)
        whole = [router for router in routers if router in self.rows and router not in self.damaged]
        place = {router: i for i, router in enumerate(routers)}
        of = np.zeros(len(routers), dtype=np.intp)
        parts = [self._of_set(which, [r for r in whole if self.rows[r].of == which]) for which in range(len(self.sets))]
        numbers = []
        for resampled in (0, 1):
            draws = parts[0][resampled][1].shape[-1]
            values = np.full((len(routers), 2, draws), np.nan, dtype=np.float32 if resampled else np.float64)
            for which, part in enumerate(parts):
                members = [place[r] for r in whole if self.rows[r].of == which]
                values[members] = part[resampled][0]
                of[members] = which
            shared = np.stack([part[resampled][1] for part in parts])
            prompts = max(int(counted.sum()) for counted, _, _ in self.sets)
            numbers.append(SceneNumbers(scene, rows, values[:, 0], values[:, 1], shared, of, prompts))
        damaged = tuple(one for several in self.damaged.values() for one in several)
        return ReadScene(numbers[0], numbers[1], damaged)

    def _of_set(self, which: int, routers: Sequence[int]) -> list[tuple[NDArray[np.floating], NDArray[np.floating]]]:
        """mu and E_p of the routers on these prompts (k, 2, D), the shared columns (4, D); as means, and resampled."""
        counted, names, stacked = self.sets[which]
        columns: dict[str, NDArray[np.float64]] = dict(zip(names, stacked, strict=True))
        values = []
        for router in routers:
            row = self.rows[router]
            values += [f"chosen {router}", f"entropy {router}"]
            columns[f"chosen {router}"] = row.chosen / row.seeds
            if row.entropy is not None:
                columns[f"entropy {router}"] = row.entropy / row.seeds
        # Whose prompts, candidates and shares they are does not matter to a mean.
        everything = Outcome(("",) * len(counted), (), counted, columns, np.empty(0))
        drawn = resampled_means(everything, [*SHARED, *values])
        means = {name: np.array([everything.mean(name)]) for name in drawn}
        both: list[tuple[NDArray[np.floating], NDArray[np.floating]]] = []
        for source, kind in ((means, np.float64), (drawn, np.float32)):
            of_routers: NDArray[np.floating] = np.array([source[name] for name in values], dtype=kind)
            of_routers = of_routers.reshape(len(routers), 2, -1)
            both.append((of_routers, np.array([source[name] for name in SHARED], dtype=kind)))
        return both
