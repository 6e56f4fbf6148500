"""Prompts that say the same: by their text, case and white space aside, then by their embedding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from routereval.data.queries import Queries

NEAR = 0.995
"""Cosine similarity from which two embeddings are taken for those of one prompt."""

_BLOCK = 1024


def normal_text(text: str) -> str:
    """The text without what makes no difference: case, and how much white space there is."""
    return " ".join(text.split()).casefold()


def clusters_of(queries: Queries, near: float = NEAR) -> NDArray[np.intp]:
    """For each prompt the position of the first one it is near-identical to, directly or by way of others, (n,)."""
    parent = np.arange(len(queries))
    if queries.texts is not None:
        first: dict[str, int] = {}
        for i, text in enumerate(queries.texts):
            said = normal_text(text)
            parent[i] = first.setdefault(said, i) if said else i
    if queries.embeddings is not None and len(queries) > 1:
        for i, j in _near_pairs(queries.embeddings, near):
            _join(parent, i, j)
    return np.array([_root(parent, i) for i in range(len(parent))], dtype=np.intp)


def _near_pairs(embeddings: NDArray[np.float32], near: float) -> list[tuple[int, int]]:
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    unit = embeddings / np.where(norms > 0, norms, 1)
    pairs = []
    for start in range(0, len(unit), _BLOCK):
        # The upper triangle is enough, and rows of zeros are near nothing.
        similarity = unit[start : start + _BLOCK] @ unit[start:].T
        for i, j in np.argwhere(similarity >= near):
            if j > i:
                pairs.append((start + int(i), start + int(j)))
    return pairs


def _root(parent: NDArray[np.intp], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = int(parent[i])
    return i


def _join(parent: NDArray[np.intp], i: int, j: int) -> None:
    a, b = sorted((_root(parent, i), _root(parent, j)))
    parent[b] = a
