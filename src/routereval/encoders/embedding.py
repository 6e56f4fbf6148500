"""Embeddings of many texts: what is known comes from the cache, the rest is encoded and kept batch by batch.

Many of them end up in one file, which every later process maps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from routereval.data import embedding_files
from routereval.data.embedding_cache import EmbeddingCache, hash_of
from routereval.encoders.contract import Encoder, Fitted
from routereval.progress import Progress


@dataclass(frozen=True, eq=False)
class Embedding:
    """The embeddings of n texts and how they came about.

    Parameters
    ----------
    vectors : (n, d) float32.
    cut : (n,) whether a text was longer than the encoder reads.
    encoded, known : how many texts were encoded now, each once however often it occurs; how many of the n were known.
    limit, kept : how much of a text is read; which end of a longer one, empty where nothing is ever cut.
    """

    vectors: NDArray[np.float32]
    cut: NDArray[np.bool_]
    encoded: int
    known: int = 0
    limit: str = ""
    kept: str = ""

    @property
    def note(self) -> str:
        """What a reader of numbers made with these should know; empty where nothing was cut."""
        count = int(self.cut.sum())
        if not count:
            return ""
        return f"{count} of {len(self.cut)} texts are longer than {self.limit}; the {self.kept} ones were kept"


def embed(
    encoder: Encoder,
    name: str,
    texts: Sequence[str],
    *,
    fit_on: Sequence[str] = (),
    progress: Progress | None = None,
) -> Embedding:
    """The embeddings of these texts, in order.

    A cut-off run loses the batch it was at and nothing else; the same call goes on from there.

    Parameters
    ----------
    name : of the encoder with its parameters; with the revision, and for a fitted encoder with the texts it is fitted
        on, what embeddings are kept under.
    fit_on : the texts a fitted encoder learns from.
    progress : shows how far it is.

    Raises
    ------
    DataError : the cache cannot be written, or an embedding is not finite.
    """
    fitted = isinstance(encoder, Fitted)
    key = (name, encoder.revision, _fingerprint(fit_on)) if fitted else (name, encoder.revision)
    cache = EmbeddingCache(name, key)
    hashes = [hash_of(text) for text in texts]
    keep = str(getattr(encoder, "keep", ""))
    if (shared := embedding_files.mapped(cache, hashes)) is not None:
        return Embedding(*shared, 0, len(texts), cache.limit if shared[1].any() else "", keep)
    known = cache.get(list(dict.fromkeys(hashes)))
    before = sum(h in known for h in hashes)
    # Each once, the longest first: batches of like lengths pad least, and what is too long shows at once.
    new = {h: text for h, text in zip(hashes, texts, strict=True) if h not in known}
    pending = sorted(new.items(), key=lambda pair: len(pair[1]), reverse=True)
    if pending:
        if isinstance(encoder, Fitted):
            encoder.fit([_sayable(text) for text in fit_on])
        shown = progress(f"embedding ({name})", len(pending)) if progress else nullcontext(lambda: None)
        with shown as advance:
            for start in range(0, len(pending), encoder.batch_size):
                batch = pending[start : start + encoder.batch_size]
                read, cut = encoder.shorten([_sayable(text) for _, text in batch])
                vectors = np.asarray(encoder.encode(read), dtype=np.float32)
                cache.put([h for h, _ in batch], vectors, cut, encoder.limit)
                known |= {h: (v, bool(c)) for (h, _), v, c in zip(batch, vectors, cut, strict=True)}
                for _ in batch:
                    advance()
    vectors = np.stack([known[h][0] for h in hashes]) if hashes else np.zeros((0, 1), dtype=np.float32)
    cut = np.array([known[h][1] for h in hashes], dtype=np.bool_)
    limit = cache.limit if cut.any() else ""
    return Embedding(*embedding_files.share(cache, hashes, vectors, cut), len(pending), before, limit, keep)


def _sayable(text: str) -> str:
    """The text with what UTF-8 cannot say (half of a surrogate pair) as a question mark; tokenizers refuse it."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _fingerprint(texts: Sequence[str]) -> str:
    """What texts a fitted encoder learnt from; their order makes no difference."""
    return hashlib.sha256(b"".join(sorted(hash_of(text) for text in texts))).hexdigest()
