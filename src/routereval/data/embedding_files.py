"""The embeddings of one list of texts as files, which every process of a machine maps: pages are shared, not copied.

They lie beside the cache they come from, in a folder for each list of texts::

    embeddings/<name>-<hash>/<hash of the list>/vectors.npy, cut.npy, SHA256SUMS
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from routereval.data import checksums
from routereval.data.array_files import read_array
from routereval.data.checking import ensure_whole
from routereval.data.embedding_cache import EmbeddingCache
from routereval.errors import DataError

FROM_BYTES = 2**20
"""Fewer bytes are not worth a file."""

Mapped = tuple[NDArray[np.float32], NDArray[np.bool_]]


def mapped(cache: EmbeddingCache, texts: Sequence[bytes]) -> Mapped | None:
    """The embeddings of these texts, in order and memory-mapped, and which texts were cut; None where there is no file.

    Damaged files are as good as none, and are removed.

    Parameters
    ----------
    texts : what each text is found by; see :func:`routereval.data.embedding_cache.hash_of`.
    """
    folder = _folder(cache, texts)
    if not (folder / checksums.NAME).is_file():
        return None
    try:
        ensure_whole(folder)
        vectors, cut = (read_array(folder / f"{name}.npy", mapped=True) for name in ("vectors", "cut"))
    except DataError:
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return vectors, cut


def share(
    cache: EmbeddingCache, texts: Sequence[bytes], vectors: NDArray[np.float32], cut: NDArray[np.bool_]
) -> Mapped:
    """The same embeddings from a file that is written now; as they are where they are few or it cannot be written."""
    folder = _folder(cache, texts)
    if vectors.nbytes >= FROM_BYTES:
        # What is not written costs each process a copy, and nothing else.
        with suppress(OSError):
            _write(folder, vectors, cut)
    return mapped(cache, texts) or (vectors, cut)


def _write(folder: Path, vectors: NDArray[np.float32], cut: NDArray[np.bool_]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        np.save(temporary / "vectors.npy", vectors, allow_pickle=False)
        np.save(temporary / "cut.npy", cut, allow_pickle=False)
        checksums.write(temporary)
        temporary.rename(folder)  # fails where another process was first, with the same content
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _folder(cache: EmbeddingCache, texts: Sequence[bytes]) -> Path:
    return cache.path.with_suffix("") / hashlib.sha256(b"".join(texts)).hexdigest()[:32]
