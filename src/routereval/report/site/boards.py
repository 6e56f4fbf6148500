"""Leaderboards: a table for every choice of benchmark, pool size, strategy, protocol and encoder, each with intervals.

Means are as :mod:`routereval.report.standings` has them: over a scenario's seeds, then the strategies, then pool sizes,
then benchmarks; never over protocols, nor over encoders where a benchmark was run with several. Only scenarios that at
least half as many routers have as the most common one are compared; a router that lacks any of these is shown with what
it has and takes no part in ranks.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from routereval.report.provenance import Origin
from routereval.report.site.inventory import Inventory, Scene, Setting
from routereval.report.site.scenes import SceneNumbers
from routereval.stats import DRAWS, LEVEL

COLUMNS = ("mu", "gain", "gap", "V_R", "V_B", "E_p", "behind")
"""mu; less that of the model best on train; share of the way from there to the oracle; V_R; V_B; E_p; the leader's mu
less its own."""

_PLANES = 6  # mu, best single on train, oracle, V_R, V_B, E_p


AXES = ("benchmark", "m", "strategy", "encoder")
"""What a table may be about one of; the protocol is always one, and so is the encoder where encoders are apart."""


class Choice(NamedTuple):
    """What a table is about; None: all."""

    benchmark: str | None
    m: int | None
    strategy: str | None
    protocol: str
    encoder: str | None


@dataclass(frozen=True, eq=False)
class Board:
    """One table.

    Parameters
    ----------
    rows : (k,) routers.
    values : (k, 7, 3) the ``COLUMNS``, each with the ends of its 95 % bootstrap interval; nan where there is none.
    have : (k,) how many of the scenarios a router has.
    position : (k,) 1 for the highest mu, equals share; 0 where a router takes no part.
    leader : the router in position 1; -1 where nobody takes part.
    scenes, benchmarks, prompts : how many scenarios and benchmarks it is over, and the fewest and most test prompts.
    origins : where its runs come from.
    """

    choice: Choice
    rows: NDArray[np.intp]
    values: NDArray[np.float64]
    have: NDArray[np.intp]
    position: NDArray[np.intp]
    leader: int
    scenes: int
    benchmarks: int
    prompts: tuple[int, int]
    origins: frozenset[Origin]


@dataclass(frozen=True, eq=False)
class SceneRows:
    """One scenario: as a table, without the leader."""

    scene: Scene
    rows: NDArray[np.intp]
    values: NDArray[np.float64]
    prompts: int


@dataclass
class _Sums:
    """A table while its scenarios come in."""

    choice: Choice
    weights: Mapping[int, NDArray[np.float64]]
    complete: NDArray[np.bool_]
    have: NDArray[np.intp]
    benchmarks: int
    points: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    draws: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, dtype=np.float32))
    prompts: list[int] = field(default_factory=list)

    def add(
        self, weights: NDArray[np.float64], planes: NDArray[np.floating], drawn: NDArray[np.floating], of: SceneNumbers
    ) -> None:
        """Add a scenario: ``planes`` (6, k, 1) are its means, ``drawn`` (6, k, D) those of every resample."""
        if not self.points.size:
            self.points = np.zeros((_PLANES, len(self.have), 1))
            self.draws = np.zeros((_PLANES, len(self.have), DRAWS), dtype=np.float32)
        w = weights[of.rows]
        self.points[:, of.rows] += w[:, None] * planes
        # As a rule every router is there and all weigh the same: nothing is copied then.
        if len(w) == len(weights) and (w == w[0]).all():
            self.draws += np.float32(w[0]) * drawn
        else:
            self.draws[:, of.rows] += w[:, None].astype(np.float32) * drawn
        self.prompts.append(of.prompts)


class BoardMaker:
    """Takes scenarios one by one, in the order of the inventory, and gives tables.

    Only the tables over all benchmarks and those of the benchmark at hand are in memory.
    """

    def __init__(self, inventory: Inventory):
        self._routers = inventory.routers
        self._scenes = list(inventory.scenes)
        self.axes = axes_of(self._scenes)
        self._choices = choices_of(self._scenes, inventory.encoders_apart)
        self._have = np.array(
            [
                [
                    router.index in by_router and all(run.error is None for run in by_router[router.index])
                    for router in inventory.routers
                ]
                for by_router in inventory.scenes.values()
            ],
            dtype=np.bool_,
        ).reshape(len(self._scenes), len(self._routers))
        self._origins = [
            frozenset(run.origin for index in np.flatnonzero(have).tolist() for run in by_router[index])
            for by_router, have in zip(inventory.scenes.values(), self._have, strict=True)
        ]
        self._whole = [self._begin(choice) for choice in self._choices if choice.benchmark is None]
        self._open: list[_Sums] = []
        self._of = ""
        self.boards: dict[Choice, Board] = {}
        self.scene_rows: list[SceneRows] = []

    def add(self, index: int, means: SceneNumbers, drawn: SceneNumbers) -> None:
        """The scenario at this position of the inventory."""
        scene = self._scenes[index]
        if scene.benchmark != self._of:
            self._close()
            self._of = scene.benchmark
            self._open = [self._begin(choice) for choice in self._choices if choice.benchmark == scene.benchmark]
        point, resampled = _planes(means), _planes(drawn)
        for sums in (*self._whole, *self._open):
            if index in sums.weights:
                sums.add(sums.weights[index], point, resampled, means)
        values = _values(point, resampled, None)
        self.scene_rows.append(SceneRows(scene, means.rows, values, means.prompts))

    def board(self, setting: Setting, *, benchmark: str | None = None, m: int | None = None) -> Board | None:
        """The table over all strategies of this choice; None where nothing was run."""
        given = {"benchmark": benchmark, "m": m, "encoder": setting.encoder}
        asked = {name: None if len(self.axes[name]) == 1 else value for name, value in given.items()}
        return self.boards.get(Choice(asked["benchmark"], asked["m"], None, setting.protocol, asked["encoder"]))  # type: ignore[arg-type]

    def finish(self) -> None:
        """Make the tables that are still open."""
        self._close()
        self._finish(self._whole)
        self._whole = []

    def _close(self) -> None:
        self._finish(self._open)
        self._open = []

    def _finish(self, every: Sequence[_Sums]) -> None:
        begun = [sums for sums in every if sums.points.size]
        # Their quantiles take most of the time, and NumPy computes those beside each other.
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for sums, board in zip(begun, pool.map(self._board, begun), strict=True):
                self.boards[sums.choice] = board

    def _begin(self, choice: Choice) -> _Sums:
        chosen = [i for i, scene in enumerate(self._scenes) if _fits(scene, choice)]
        contends = np.array([router.competes for router in self._routers], dtype=np.bool_)
        wanted = _wanted(self._have, chosen, contends)
        have = self._have[wanted]
        return _Sums(
            choice,
            dict(zip(wanted, _weights([self._scenes[i] for i in wanted], have), strict=True)),
            np.asarray(have.all(axis=0) if wanted else np.zeros(len(self._routers)), dtype=np.bool_),
            have.sum(axis=0),
            len({self._scenes[i].benchmark for i in wanted}),
        )

    def _board(self, sums: _Sums) -> Board:
        rows = np.flatnonzero(sums.have)
        points, draws = sums.points[:, rows], sums.draws[:, rows]
        ranked = [i for i, row in enumerate(rows) if sums.complete[row] and self._routers[row].competes]
        # Rounded, so that what differs by the order of a sum shares a place; what is damaged comes last.
        mu = np.nan_to_num(points[0, :, 0].round(12), nan=-np.inf)
        ranked.sort(key=lambda i: -mu[i])
        position = np.zeros(len(rows), dtype=np.intp)
        position[ranked] = rankdata(-mu[ranked], method="min") if ranked else 0
        first = ranked[0] if ranked else None
        values = _values(points, draws, first)
        # Who lacks a scenario has another mean: nothing is paired.
        values[~sums.complete[rows], -1] = np.nan
        return Board(
            sums.choice,
            rows,
            values,
            sums.have[rows],
            position,
            -1 if first is None else int(rows[first]),
            len(sums.weights),
            sums.benchmarks,
            (min(sums.prompts), max(sums.prompts)),
            frozenset().union(*(self._origins[index] for index in sums.weights)),
        )


def choices_of(scenes: Sequence[Scene], encoders_apart: bool) -> list[Choice]:
    """Every choice that holds a scenario; of what there is one of only, all is the one choice.

    Parameters
    ----------
    encoders_apart : whether all encoders are no choice, as no mean is taken over them.
    """
    axes = axes_of(scenes)
    found: dict[Choice, None] = {}
    for scene in scenes:
        own: list[tuple[str | int | None, ...]] = [
            (value,) if name == "encoder" and encoders_apart else (None, value) if len(axes[name]) > 1 else (None,)
            for name, value in _facets(scene).items()
        ]
        for benchmark, m, strategy, encoder in itertools.product(*own):
            found[Choice(benchmark, m, strategy, scene.protocol, encoder)] = None  # type: ignore[arg-type]
    return list(found)


def axes_of(scenes: Sequence[Scene]) -> dict[str, list[str | int]]:
    """The benchmarks, pool sizes, strategies and encoders there are."""
    values: dict[str, set[str | int]] = {name: set() for name in AXES}
    for scene in scenes:
        for name, value in _facets(scene).items():
            values[name].add(value)
    return {name: sorted(have, key=lambda one: (isinstance(one, str), one)) for name, have in values.items()}


def _facets(scene: Scene) -> dict[str, str | int]:
    return {"benchmark": scene.benchmark, "m": scene.m, "strategy": scene.strategy, "encoder": scene.encoder}


def _fits(scene: Scene, choice: Choice) -> bool:
    return scene.protocol == choice.protocol and all(
        wanted is None or wanted == have
        for wanted, have in (
            (choice.benchmark, scene.benchmark),
            (choice.m, scene.m),
            (choice.strategy, scene.strategy),
            (choice.encoder, scene.encoder),
        )
    )


def _wanted(have: NDArray[np.bool_], chosen: Sequence[int], contends: NDArray[np.bool_]) -> list[int]:
    """The scenarios that are compared."""
    if not chosen:
        return []
    counted = have[chosen][:, contends].sum(axis=1)
    if not counted.any():
        counted = have[chosen].sum(axis=1)
    most = counted.max()
    return [index for index, count in zip(chosen, counted, strict=True) if most and 2 * count >= most]


def _weights(scenes: Sequence[Scene], have: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How much each scenario counts for each router, (scenarios, routers); columns sum to one, or to nothing."""
    cells = [(scene.benchmark, scene.m) for scene in scenes]
    within_cell = _share(have.astype(np.float64), cells)
    has_cell, cell_names = _joined(have, cells)
    benchmarks = [name[0] for name in cell_names]
    of_cell = _share(has_cell.astype(np.float64), benchmarks)
    has_benchmark, _ = _joined(has_cell, benchmarks)
    total = has_benchmark.sum(axis=0)
    weights = np.empty(have.shape)
    for i, cell in enumerate(cells):
        weights[i] = within_cell[i] * of_cell[cell_names.index(cell)]
    result: NDArray[np.float64] = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    return result


def _share(have: NDArray[np.float64], groups: Sequence[object]) -> NDArray[np.float64]:
    """Each row over the sum of its group's rows; 0 where that is 0."""
    shares = np.zeros_like(have)
    for group in dict.fromkeys(groups):
        members = [i for i, one in enumerate(groups) if one == group]
        total = have[members].sum(axis=0)
        shares[members] = np.divide(have[members], total, out=np.zeros((len(members), have.shape[1])), where=total > 0)
    return shares


def _joined(have: NDArray[np.bool_], groups: Sequence[tuple[str, ...] | object]) -> tuple[NDArray[np.bool_], list]:  # type: ignore[type-arg]
    """Whether there is any row of each group, and the groups."""
    names = list(dict.fromkeys(groups))
    return np.array([have[[one == name for one in groups]].any(axis=0) for name in names]), names


def _planes(numbers: SceneNumbers) -> NDArray[np.floating]:
    """mu, best single on train, oracle, V_R, V_B, E_p: (6, k, D)."""
    base, oracle, reference, single = (numbers.shared[numbers.of, i] for i in range(4))
    mu = numbers.mu
    return np.stack([mu, base, oracle, _ratio(mu, reference), _ratio(mu, single), numbers.entropy])


def _ratio(above: NDArray[np.floating], below: NDArray[np.floating]) -> NDArray[np.floating]:
    ratio: NDArray[np.floating] = np.divide(above, below, out=np.full_like(above, np.nan), where=below != 0)
    return ratio


def _values(points: NDArray[np.floating], draws: NDArray[np.floating], first: int | None) -> NDArray[np.float64]:
    """The columns with their intervals, (k, 7, 3)."""
    value, drawn = _columns(points, first)[..., 0], _columns(draws, first)
    ends = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=-1)
    return np.stack([value, *ends], axis=-1).transpose(1, 0, 2)


def _columns(planes: NDArray[np.floating], first: int | None) -> NDArray[np.floating]:
    mu, base, oracle, v_r, v_b, entropy = planes
    room = oracle - base
    gap = np.divide(mu - base, room, out=np.full_like(mu, np.nan), where=room > 1e-9)
    behind = np.full_like(mu, np.nan) if first is None else mu[first] - mu
    return np.stack([mu, mu - base, gap, v_r, v_b, entropy, behind])
