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
    ) -> Split:
        """The published split: within each group shuffle, then cut.

        Parameters
        ----------
        groups : n names, one per prompt (the subset it belongs to); groups keep the order of first appearance.
        fractions : where train ends and where validation ends, as shares of a group, rounded down.
        seed : of NumPy's legacy generator, or such a generator (the published pools go on with it).

        Notes
        -----
        Huang et al. 2025, released code: ``numpy.random.seed(42)``, one ``shuffle`` per subset in order, cuts at
        ``int(0.8 n)`` and ``int(0.9 n)``.
        """
        rng = seed if isinstance(seed, np.random.RandomState) else np.random.RandomState(seed)
        names = np.asarray(groups)
        parts: list[list[NDArray[np.intp]]] = [[], [], []]
        for name in dict.fromkeys(groups):
            index = np.flatnonzero(names == name)
            rng.shuffle(index)
            cuts = [int(fraction * len(index)) for fraction in fractions]
            for part, piece in zip(parts, np.split(index, cuts), strict=True):
                part.append(piece)
        return cls(*(np.concatenate(part) for part in parts))
