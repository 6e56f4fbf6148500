"""Policies that read the answers: oracle, random, r_o(p), the best single model in hindsight. Closed forms, no draws.

Each gives, for every test prompt, the expected score and the distribution P over the pool; E_p is the mean entropy of P
(Huang et al. 2025; the published code simulates what is exact here).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from routereval.catalogue import Catalogue
from routereval.data.outcome import best_in_hindsight, single_scores
from routereval.data.scores import ScoreMatrix
from routereval.errors import ParameterError


class Reference(Protocol):
    """A policy that may read the test scores; never a router."""

    def expected(self, scores: ScoreMatrix) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Expected score per prompt (n,), and the distribution over the pool (n, m), zeros where none was observed."""
        ...


@dataclass(frozen=True)
class RandomMixture:
    """r_o(p): the oracle with probability ``p``, else any observed model alike. r_o(1) is the oracle, r_o(0) random."""

    p: float

    def expected(self, scores: ScoreMatrix) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """mu = p oracle + (1 - p) random; P = p P_oracle + (1 - p) / m.

        P_oracle is the scores divided by their sum, which for binary ones is uniform over the correct models; uniform
        over all where the sum is 0.
        """
        if not 0 <= self.p <= 1:
            raise ParameterError(f"r_o takes p in [0, 1], not {self.p}")
        seen = scores.mask()
        dense = np.where(seen, scores.dense(), 0.0).astype(np.float64)
        count = np.maximum(seen.sum(axis=1, keepdims=True), 1)
        uniform = seen / count
        sums = dense.sum(axis=1, keepdims=True)
        best = np.where(sums > 0, np.divide(dense, sums, out=np.zeros_like(dense), where=sums > 0), uniform)
        mu = self.p * dense.max(axis=1) + (1 - self.p) * (sums / count)[:, 0]
        return mu, self.p * best + (1 - self.p) * uniform


@dataclass(frozen=True)
class Oracle:
    """A best model for each prompt; among several, any of them alike."""

    def expected(self, scores: ScoreMatrix) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """r_o(1)."""
        return RandomMixture(1.0).expected(scores)


@dataclass(frozen=True)
class Random:
    """Any model of the pool alike."""

    def expected(self, scores: ScoreMatrix) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """r_o(0)."""
        return RandomMixture(0.0).expected(scores)


@dataclass(frozen=True)
class BestSingleHindsight:
    """The model that is best on the test prompts themselves, for every prompt (the paper's BSM)."""

    def expected(self, scores: ScoreMatrix) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """One model throughout; on a prompt it was not observed on, the next best that was."""
        order = best_in_hindsight(scores)
        seen = scores.mask()[:, order]
        first = order[np.argmax(seen, axis=1)]
        probs = np.zeros(scores.shape)
        probs[np.arange(len(probs)), first] = seen.any(axis=1)
        return single_scores(scores, order), probs


REFERENCES = Catalogue(
    "reference",
    {
        "oracle": "routereval.references:Oracle",
        "random": "routereval.references:Random",
        "r_o": "routereval.references:RandomMixture",
        "best_single_hindsight": "routereval.references:BestSingleHindsight",
    },
)
