"""Text to embeddings: which encoder a benchmark gets, and its embeddings, each computed once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from routereval.data.benchmark import BenchmarkData
from routereval.encoders.contract import Encoder, Fitted
from routereval.encoders.embedding import Embedding, embed
from routereval.encoders.spec import AUTO, ENCODERS, NONE, SHIPPED, EncoderSpec, best_core, name_of, require
from routereval.errors import MissingDataError
from routereval.progress import Progress

__all__ = ["AUTO", "ENCODERS", "NONE", "SHIPPED", "EncoderSpec", "Progress", "embedded", "embedding_of"]

MADE_DO = "no embeddings came with it and wordllama is not installed (pip install wordllama), so its texts are hashed"

_RECENT: dict[tuple[BenchmarkData, str], BenchmarkData] = {}
_RECENT_SIZE = 4


def embedded(
    data: BenchmarkData, encoder: str = AUTO, *, protocol: str = "strict", progress: Progress | None = None
) -> BenchmarkData:
    """The data with the embeddings of this encoder.

    Known embeddings come from the cache; the others are computed and kept. What ``encoder`` of the result says, given
    back to this function, leads to the same embeddings again.

    Parameters
    ----------
    encoder : ``shipped``; ``name`` or ``name:k=v,...`` of the catalogue; or ``auto``: shipped where there are any, else
        ``wordllama`` where it is installed and ``hashing`` where it is not, if there are texts.
    protocol : which end of a text too long for the encoder is kept, unless ``keep=`` says: ``paper`` the first tokens,
        ``strict`` the last.
    progress : shows how far it is.

    Returns
    -------
    BenchmarkData : its ``missing`` says how many texts were cut, and whether ``auto`` had to make do.

    Raises
    ------
    MissingDataError : no embeddings shipped, no texts to encode, or a package that is not installed.
    UnknownNameError, ParameterError : no encoder has that name, or not with these parameters.
    """
    if encoder == AUTO:
        chosen = _automatic(data)
        found = embedded(data, chosen, protocol=protocol, progress=progress)
        return replace(found, missing=(*found.missing, MADE_DO)) if chosen == "hashing" else found
    if encoder == NONE:
        return replace(data, encoder=NONE, store_dir=None)
    if encoder in (SHIPPED, data.encoder) and data.queries.embeddings is not None:
        return data
    if encoder == SHIPPED:
        raise MissingDataError(f"{data.source} ships no embeddings; name an encoder: {', '.join(ENCODERS)}, or auto")
    spec = EncoderSpec.parse(encoder)
    built = spec.build(protocol)
    name = name_of(spec.name, built)
    if name == data.encoder and data.queries.embeddings is not None:
        return data
    if (data, name) not in _RECENT:
        found = _with(data, name, _embedding(data, spec.name, name, built, progress))
        # A plan asks once per benchmark and the tasks again; texts need not be hashed anew for each.
        while len(_RECENT) >= _RECENT_SIZE:
            _RECENT.pop(next(iter(_RECENT)))
        _RECENT[data, name] = found
    return _RECENT[data, name]


def embedding_of(
    data: BenchmarkData, encoder: str = AUTO, *, protocol: str = "strict", progress: Progress | None = None
) -> tuple[str, Embedding]:
    """The encoder's full name and the embeddings alone, with how they came about; otherwise as :func:`embedded`."""
    if encoder == AUTO:
        encoder = _automatic(data)
    if encoder == NONE:
        raise MissingDataError(f"{data.source} has neither texts nor embeddings; nothing can be encoded")
    if encoder in (SHIPPED, data.encoder):
        shipped = embedded(data, encoder)
        vectors = shipped.queries.require_embeddings()
        return shipped.encoder, Embedding(vectors, np.zeros(len(vectors), dtype=np.bool_), 0)
    spec = EncoderSpec.parse(encoder)
    built = spec.build(protocol)
    name = name_of(spec.name, built)
    return name, _embedding(data, spec.name, name, built, progress)


def _automatic(data: BenchmarkData) -> str:
    if data.queries.embeddings is not None:
        return SHIPPED
    return NONE if data.queries.texts is None else best_core()


def _embedding(data: BenchmarkData, short: str, name: str, encoder: Encoder, progress: Progress | None) -> Embedding:
    texts = data.queries.texts
    if texts is None:
        raise MissingDataError(f"{data.source} has no prompt texts, so {name!r} has nothing to encode")
    require(short, encoder)
    every = list(texts)
    seen = np.concatenate([data.split.train, data.split.val]) if isinstance(encoder, Fitted) else ()
    return embed(encoder, name, every, fit_on=[every[i] for i in seen], progress=progress)


def _with(data: BenchmarkData, name: str, made: Embedding) -> BenchmarkData:
    queries = replace(data.queries, embeddings=made.vectors)
    missing = (*data.missing, made.note) if made.note else data.missing
    # Not in the store: the folder has the shipped ones, so this copy must not be taken for it.
    return replace(data, queries=queries, encoder=name, missing=missing, store_dir=None)
