"""Do two routers differ beyond chance on the same prompts? McNemar's exact test, and flipping signs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DRAWS = 9_999
"""Random flips where not all can be tried: the smallest p is 1 / 10,000."""

_BLOCK = 2_000_000
"""How many signs are held at once."""

_ROUNDING = 1e-10
"""Relative difference below which two sums are the same number, added in another order."""


def mcnemar(first_only: NDArray[np.int64], second_only: NDArray[np.int64]) -> Floats:
    """Exact two-sided p of McNemar's test, of any shape.

    Of the prompts that one router gets right and the other wrong, half should go either way:
    p = min(1, 2 P(X <= min(b, c))) with X binomial(b + c, 1/2) (McNemar 1947). 1 where none differ.

    Parameters
    ----------
    first_only, second_only : prompts that only the first, only the second router gets right.
    """
    from scipy.stats import binom  # type: ignore[attr-defined]

    fewer, all_ = np.minimum(first_only, second_only), first_only + second_only
    p: Floats = np.minimum(1.0, 2 * binom.cdf(fewer, all_, 0.5))
    return p


@dataclass(frozen=True, eq=False)
class SignFlips:
    """What flipping signs gave for P pairs.

    Parameters
    ----------
    p : (P,) two-sided.
    exact : (P,) whether all patterns of signs were counted.
    differ : (P,) in how many clusters the pair differs.
    draws : how many random flips the others had.
    mcnemar : (P,) whether that is McNemar's test: each cluster goes to one router, to the other, or to none.
    """

    p: Floats
    exact: NDArray[np.bool_]
    differ: NDArray[np.intp]
    draws: int
    mcnemar: NDArray[np.bool_]


def sign_flip(sums: Floats, pairs: NDArray[np.intp], rng: np.random.Generator, draws: int = DRAWS) -> SignFlips:
    """Two-sided p of the hypothesis that in every cluster the pair could as well have been swapped (Fisher 1935).

    The statistic is the summed difference; under the hypothesis each cluster's difference is as likely to have the
    other sign. Where there are no more patterns of signs than draws all are tried, else p = (1 + those at least as far
    from 0) / (1 + draws) (Phipson and Smyth 2010). For sums of binary scores see :func:`sign_flip_exactly`.

    Parameters
    ----------
    sums : (clusters, k) summed scores of each router; weighted, where several benchmarks are put together.
    pairs : (P, 2) columns.
    rng : the same flips serve every pair.
    """
    # Only differences count; taking the first router off makes those of equal routers exactly 0.
    relative = sums - sums[:, :1]
    scale = max(float(np.abs(sums).max(initial=0.0)), 1e-300)
    relative[np.abs(relative) < _ROUNDING * scale] = 0.0
    relative = relative[relative.any(axis=1)]
    differ = np.array(
        [int((np.abs(relative[:, a] - relative[:, b]) > _ROUNDING * scale).sum()) for a, b in pairs], dtype=np.intp
    )
    # The first sign may stay: the opposite pattern has the opposite sum.
    exact = differ <= int(np.log2(max(draws, 1))) + 1
    p = np.ones(len(pairs))
    for i in np.flatnonzero(exact & (differ > 0)):
        difference = relative[:, pairs[i, 0]] - relative[:, pairs[i, 1]]
        p[i] = _all_patterns(difference[np.abs(difference) > _ROUNDING * scale])
    drawn = np.flatnonzero(~exact)
    if len(drawn):
        p[drawn] = _random_patterns(relative, pairs[drawn], rng, draws)
    return SignFlips(p, exact, differ, draws, np.zeros(len(pairs), dtype=np.bool_))


def sign_flip_exactly(sums: Floats, pairs: NDArray[np.intp]) -> SignFlips:
    """The same where every sum is a whole number, as of binary scores: exact however many clusters differ.

    Where no difference of a cluster is more than 1 (with one prompt per cluster it never is) that is McNemar's test.
    """
    p, differ, simple = np.ones(len(pairs)), np.zeros(len(pairs), dtype=np.intp), np.zeros(len(pairs), dtype=np.bool_)
    first, second = np.zeros((2, len(pairs)), dtype=np.int64)
    for i, (a, b) in enumerate(pairs):
        difference = np.rint(sums[:, a] - sums[:, b]).astype(np.int64)
        difference = difference[difference != 0]
        differ[i], simple[i] = len(difference), np.abs(difference).max(initial=0) <= 1
        first[i], second[i] = (difference > 0).sum(), (difference < 0).sum()
        if not simple[i]:
            p[i] = _whole_numbers(difference)
    p[simple] = mcnemar(first[simple], second[simple])
    return SignFlips(p, np.ones(len(pairs), dtype=np.bool_), differ, 0, simple)


def _all_patterns(difference: Floats) -> float:
    k = len(difference)
    bits = (np.arange(2 ** (k - 1))[:, None] >> np.arange(k)) & 1
    flipped = np.abs((1 - 2 * bits) @ difference)
    return float(np.mean(flipped >= abs(difference.sum()) - _ROUNDING * np.abs(difference).sum()))


def _whole_numbers(difference: NDArray[np.int64]) -> float:
    """p over all patterns of signs, from the characteristic function of the sum: the product of cos(|d| t)."""
    sizes, counts = np.unique(np.abs(difference), return_counts=True)
    farthest, found = int((sizes * counts).sum()), abs(int(difference.sum()))
    points = 2 * farthest + 1
    turns = 2 * np.pi / points * np.arange(points)
    spectrum = np.prod([np.cos(size * turns) ** count for size, count in zip(sizes, counts, strict=True)], axis=0)
    # P(sum = t) stands at t, of negative t at points + t.
    chances = np.fft.fft(spectrum).real / points
    tail = chances[found : points - found + 1].sum() if found else 1.0
    # Never below what one pattern and its opposite weigh: what is smaller is rounding.
    return float(np.clip(tail, 2.0 ** (1 - len(difference)), 1.0))


def _random_patterns(relative: Floats, pairs: NDArray[np.intp], rng: np.random.Generator, draws: int) -> Floats:
    clusters = len(relative)
    total = relative.sum(axis=0)
    first, second = pairs.T
    slack = _ROUNDING * (np.abs(relative).sum(axis=0)[first] + np.abs(relative).sum(axis=0)[second])
    needed = np.abs(total[first] - total[second]) - slack
    far = np.zeros(len(pairs), dtype=np.int64)
    size = max(1, _BLOCK // max(clusters, len(pairs)))
    for start in range(0, draws, size):
        rows = min(size, draws - start)
        octets = np.frombuffer(rng.bytes(rows * -(-clusters // 8)), dtype=np.uint8).reshape(rows, -1)
        heads = np.unpackbits(octets, axis=1, count=clusters).astype(np.float64)
        # sum of +-x = 2 (sum of those with a plus) - (sum of all)
        flipped = 2 * (heads @ relative) - total
        far += (np.abs(flipped[:, first] - flipped[:, second]) >= needed).sum(axis=0)
    p: Floats = (1 + far) / (1 + draws)
    return p
