"""Which prompts a router learns on, is tuned on and is tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from routereval.errors import DataError


@dataclass(frozen=True, eq=False)
class Split:
    """Positions of the train, validation and test prompts of a benchmark; no prompt in two of them.

    Raises
    ------
    DataError : a prompt in more than one part.
    """

    train: NDArray[np.intp]
    val: NDArray[np.intp]
    test: NDArray[np.intp]

    def __post_init__(self) -> None:
        everything = np.concatenate([self.train, self.val, self.test])
        if len(np.unique(everything)) != len(everything):
            raise DataError("a prompt lies in more than one of train, val and test")

    def __repr__(self) -> str:
        return f"Split({len(self.train)} train, {len(self.val)} val, {len(self.test)} test)"

    @classmethod
    def stratified(
        cls,
        groups: Sequence[str],
        fractions: tuple[float, float] = (0.8, 0.9),
        *,
        seed: int | np.random.RandomState = 42,
        clusters: NDArray[np.intp] | None = None,
    ) -> Split:
        """The published split: within each group shuffle, then cut.

        Parameters
        ----------
        groups : n names, one per prompt (the subset it belongs to); groups keep the order of first appearance.
        fractions : where train ends and where validation ends, as shares of a group, rounded down.
        seed : of NumPy's legacy generator, or such a generator (the published pools go on with it).
        clusters : (n,) for each prompt the first one it belongs with; those that belong together lie in one part, that
            of the first (clusters are shuffled and cut, in the group of their first prompt). None: each by itself.

        Notes
        -----
        Huang et al. 2025, released code: ``numpy.random.seed(42)``, one ``shuffle`` per subset in order, cuts at
        ``int(0.8 n)`` and ``int(0.9 n)``.
        """
        rng = seed if isinstance(seed, np.random.RandomState) else np.random.RandomState(seed)
        # Numbers instead of strings: one long name would make all of them long.
        number: dict[str, int] = {}
        codes = np.array([number.setdefault(name, len(number)) for name in groups], dtype=np.intp)
        leaders = np.arange(len(codes)) if clusters is None else clusters
        first = leaders == np.arange(len(codes))
        parts: list[list[NDArray[np.intp]]] = [[], [], []]
        for code in range(len(number)):
            index = np.flatnonzero((codes == code) & first)
            rng.shuffle(index)
            cuts = [int(fraction * len(index)) for fraction in fractions]
            for part, piece in zip(parts, np.split(index, cuts), strict=True):
                part.append(piece)
        whole = [np.concatenate(part) for part in parts]
        followers = np.flatnonzero(~first)
        if len(followers):
            whole = [np.concatenate([part, followers[np.isin(leaders[followers], part)]]) for part in whole]
        return cls(*whole)
