"""p-values of many tests at once: Holm keeps any false alarm rare, Benjamini and Hochberg their share."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Correction(StrEnum):
    """What is kept at the level, 5 %."""

    holm = "holm"
    """The chance of any false alarm among all tests."""
    bh = "bh"
    """The expected share of false alarms among the differences found."""


def adjusted(p: Floats, correction: Correction) -> Floats:
    """The p-values as they may be compared with the level whatever number of tests there is."""
    return holm(p) if correction is Correction.holm else benjamini_hochberg(p)


def holm(p: Floats) -> Floats:
    """Holm's step-down p-values (1979): the i-th smallest of k times k - i + 1, never below the one before.

    Holds whatever the dependence between the tests. Four lines, where the package that has it loads pandas.
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    found = np.empty(len(p))
    found[order] = np.minimum(stepped, 1.0)
    return found


def benjamini_hochberg(p: Floats) -> Floats:
    """Benjamini and Hochberg's step-up p-values (1995): the i-th smallest of k times k / i, never above the one after.

    Holds for tests that are independent or positively dependent, as pairs that share a router are.
    """
    from scipy.stats import false_discovery_control

    found: Floats = np.asarray(false_discovery_control(p, method="bh")) if len(p) else p
    return found
