"""Random generators seeded from names, so that adding a router never moves another's numbers."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(*names: object) -> np.random.Generator:
    """A generator seeded from a hash of these names: the same names give the same numbers, anywhere."""
    digest = hashlib.sha256("\0".join(map(str, names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))
