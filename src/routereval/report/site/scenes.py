"""What each router scores on one scenario, and on every resample of its prompts: one matrix product for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from routereval.data.outcome import Outcome
from routereval.report.site.inventory import Run, Scene
from routereval.results import ResultStore
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


def read_scene(
    store: ResultStore, scene: Scene, by_router: Mapping[int, Sequence[Run]]
) -> tuple[SceneNumbers, SceneNumbers] | None:
    """The means, and those of every resample; None where all runs failed.

    Runs are read one at a time. Scores of a router's seeds are averaged prompt by prompt first, which changes no mean.
    """
    router_of = {
        run.key: index for index, runs in by_router.items() if all(run.error is None for run in runs) for run in runs
    }
    gathered = _Gathered()
    for run in store.iter_runs(set(router_of)):
        if run.outcome is not None and "chosen" in run.outcome.columns:
            gathered.add(router_of[run.key], run.outcome)
    return gathered.numbers(scene) if gathered.rows else None


class _Gathered:
    """Sums over seeds, and the columns that routers share."""

    def __init__(self) -> None:
        self.rows: dict[int, int] = {}
        self.sets: list[tuple[NDArray[np.bool_], Mapping[str, NDArray[np.float64]]]] = []
        self.of: list[int] = []
        self.chosen: list[NDArray[np.float64]] = []
        self.entropy: list[NDArray[np.float64] | None] = []
        self.seeds: list[int] = []

    def add(self, router: int, outcome: Outcome) -> None:
        which = self._set(outcome)
        entropy = outcome.columns.get("entropy")
        if router not in self.rows:
            self.rows[router] = len(self.of)
            self.of.append(which)
            self.chosen.append(outcome.columns["chosen"])
            self.entropy.append(entropy)
            self.seeds.append(1)
            return
        row = self.rows[router]
        if which != self.of[row]:
            return  # a seed on other prompts than the first: the two have no mean
        so_far = self.entropy[row]
        self.chosen[row] = self.chosen[row] + outcome.columns["chosen"]
        self.entropy[row] = None if so_far is None or entropy is None else so_far + entropy
        self.seeds[row] += 1

    def _set(self, outcome: Outcome) -> int:
        columns = {name: outcome.columns[name] for name in SHARED if name in outcome.columns}
        for i, (counted, known) in enumerate(self.sets):
            if (
                np.array_equal(counted, outcome.counted)
                and known.keys() == columns.keys()
                and all(np.array_equal(known[name], columns[name]) for name in columns)
            ):
                return i
        self.sets.append((outcome.counted, columns))
        return len(self.sets) - 1

    def numbers(self, scene: Scene) -> tuple[SceneNumbers, SceneNumbers]:
        halves = [self._of_set(i) for i in range(len(self.sets))]
        order = np.concatenate([rows for rows, _, _ in halves])
        place = np.argsort(order)
        routers = np.array(list(self.rows), dtype=np.intp)
        of = np.array(self.of, dtype=np.intp)
        prompts = max(int(counted.sum()) for counted, _ in self.sets)

        def made(which: int) -> SceneNumbers:
            values = np.concatenate([half[which] for _, half, _ in halves])[place]
            shared = np.stack([half[which] for _, _, half in halves])
            return SceneNumbers(scene, routers, values[:, 0], values[:, 1], shared, of, prompts)

        return made(0), made(1)

    def _of_set(
        self, which: int
    ) -> tuple[
        NDArray[np.intp],
        tuple[NDArray[np.float64], NDArray[np.float32]],
        tuple[NDArray[np.float64], NDArray[np.float32]],
    ]:
        """Rows of these prompts; their mu and E_p (k, 2, D); the shared columns (4, D); once as means, once resampled."""
        counted, shared = self.sets[which]
        rows = np.flatnonzero(np.array(self.of) == which)
        columns: dict[str, NDArray[np.float64]] = dict(shared)
        for row in rows:
            columns[f"chosen {row}"] = self.chosen[row] / self.seeds[row]
            entropy = self.entropy[row]
            if entropy is not None:
                columns[f"entropy {row}"] = entropy / self.seeds[row]
        n = len(counted)
        # Whose prompts, candidates and shares they are does not matter to a mean.
        everything = Outcome(("",) * n, (), counted, columns, np.empty(0))
        values = [name for row in rows for name in (f"chosen {row}", f"entropy {row}")]
        drawn = resampled_means(everything, [*SHARED, *values])
        means = {name: np.array([everything.mean(name)]) for name in drawn}

        def stacked(source: Mapping[str, NDArray[np.float64]], names: Sequence[str]) -> NDArray[np.float64]:
            return np.stack([source[name] for name in names])

        return (
            rows,
            (
                stacked(means, values).reshape(len(rows), 2, 1),
                stacked(drawn, values).reshape(len(rows), 2, -1).astype("f4"),
            ),
            (stacked(means, SHARED), stacked(drawn, SHARED).astype("f4")),
        )
