"""The embeddings of one list of texts as files, which every process of a machine maps.

They lie beside the cache they come from, in a folder for each list of texts::

    embeddings/<name>-<hash>/<hash of the list>/vectors.npy, cut.npy, SHA256SUMS
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from routereval.data import shared_arrays
from routereval.data.embedding_cache import EmbeddingCache

Mapped = tuple[NDArray[np.float32], NDArray[np.bool_]]


def mapped(cache: EmbeddingCache, texts: Sequence[bytes]) -> Mapped | None:
    """The embeddings of these texts, in order and memory-mapped, and which texts were cut; None where there is no file.

    Parameters
    ----------
    texts : what each text is found by; see :func:`routereval.data.embedding_cache.hash_of`.
    """
    found = shared_arrays.mapped(_folder(cache, texts), ("vectors", "cut"))
    return None if found is None else (found[0], found[1])


def share(
    cache: EmbeddingCache, texts: Sequence[bytes], vectors: NDArray[np.float32], cut: NDArray[np.bool_]
) -> Mapped:
    """The same embeddings from a file that is written now; as they are where they are few or it cannot be written."""
    found = shared_arrays.share(_folder(cache, texts), {"vectors": vectors, "cut": cut})
    return found[0], found[1]


def _folder(cache: EmbeddingCache, texts: Sequence[bytes]) -> Path:
    return cache.path.with_suffix("") / hashlib.sha256(b"".join(texts)).hexdigest()[:32]
