"""Prompts that say the same: by their text, case and white space aside, then by their embedding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from routereval.data.queries import Queries

NEAR = 0.995
"""Cosine similarity from which two embeddings may be those of one prompt."""

NEAR_CENTRED = 0.98
"""The same once the mean embedding is taken off: some encoders put all texts into one narrow cone."""

FEW_WORDS, FEW_OF_ALL = 4, 0.02
"""How many words two near-identical texts may differ in: so many, or this share of the longer text's words."""

_BLOCK = 1024
_FEW = 10
"""Below this many prompts a mean embedding says more of the prompts themselves than of the encoder."""

Pairs = NDArray[np.intp]
"""(pairs, 2) positions of prompts."""


def normal_text(text: str) -> str:
    """The text without what makes no difference: case, and how much white space there is."""
    return " ".join(text.split()).casefold()


def clusters_of(queries: Queries, near: float = NEAR) -> NDArray[np.intp]:
    """For each prompt the position of the first one it is near-identical to, directly or by way of others, (n,).

    Two prompts are near-identical if their texts are the same, case and white space aside; or if their embeddings point
    the same way (also once the mean embedding is taken off) and, where there are texts, these differ in a few words
    only: an encoder that reads the first 256 words gives prompts with one long preamble one embedding, whatever they
    ask.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(queries)
    pairs = [_same_texts(queries.texts)] if queries.texts is not None else []
    if queries.embeddings is not None and n > 1:
        close = _near_pairs(queries.embeddings, near)
        pairs.append(close if queries.texts is None else _agreeing(close, queries.texts))
    joined = np.concatenate([np.zeros((0, 2), dtype=np.intp), *pairs])
    graph = coo_array((np.ones(len(joined), dtype=np.bool_), (joined[:, 0], joined[:, 1])), shape=(n, n))  # type: ignore[no-untyped-call]
    _, component = connected_components(graph, directed=False)
    _, first = np.unique(component, return_index=True)
    return np.asarray(first[component], dtype=np.intp)


def _same_texts(texts: Sequence[str]) -> Pairs:
    first: dict[str, int] = {}
    # No text is no evidence of anything.
    said = ((i, normal_text(text)) for i, text in enumerate(texts))
    pairs = [(first.setdefault(text, i), i) for i, text in said if text]
    return np.array(pairs, dtype=np.intp).reshape(-1, 2)


def _near_pairs(embeddings: NDArray[np.float32], near: float) -> Pairs:
    unit = _unit(embeddings)
    centred = _unit(embeddings - embeddings.mean(axis=0)) if len(embeddings) >= _FEW else None
    found = []
    for start in range(0, len(unit), _BLOCK):
        # The upper triangle is enough, and rows of zeros are near nothing.
        close = unit[start : start + _BLOCK] @ unit[start:].T >= near
        if centred is not None and close.any():
            close &= centred[start : start + _BLOCK] @ centred[start:].T >= NEAR_CENTRED
        pairs = np.argwhere(close)
        found.append(pairs[pairs[:, 1] > pairs[:, 0]] + start)
    return np.concatenate(found)


def _agreeing(pairs: Pairs, texts: Sequence[str]) -> Pairs:
    """Those of the pairs whose texts differ in a few words only."""
    if len(pairs) == 0:
        return pairs
    from sklearn.feature_extraction.text import CountVectorizer

    # Numbers and signs are words as well: they may be all that two sums differ in.
    words = CountVectorizer(token_pattern=r"\w+|[^\w\s]", dtype=np.int32).fit_transform(list(texts))
    lengths = np.asarray(words.sum(axis=1)).ravel()
    agree = []
    for part in np.array_split(pairs, -(-len(pairs) // 100_000)):
        different = np.asarray(abs(words[part[:, 0]] - words[part[:, 1]]).sum(axis=1)).ravel()
        longer = np.maximum(lengths[part[:, 0]], lengths[part[:, 1]])
        agree.append(different <= np.maximum(FEW_WORDS, FEW_OF_ALL * longer))
    kept: Pairs = pairs[np.concatenate(agree)]
    return kept


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1), dtype=np.float32)
