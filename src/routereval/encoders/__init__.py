"""Text to embeddings."""

from __future__ import annotations

from dataclasses import replace

from routereval.catalogue import Catalogue, unknown_name
from routereval.data.benchmark import BenchmarkData
from routereval.data.queries import Queries
from routereval.errors import MissingDataError

NONE = "none"
"""What data without embeddings and without texts are encoded by."""

SHIPPED = "shipped"
"""The embeddings that came with the data."""

ENCODERS = Catalogue("encoder", {"hashing": "routereval.encoders.hashing:Hashing"})


def embedded(data: BenchmarkData, encoder: str = "auto") -> BenchmarkData:
    """The data with the embeddings of this encoder.

    Parameters
    ----------
    encoder : ``shipped``, a name of the catalogue, or ``auto``: shipped where there are any, else ``hashing`` where
        there are texts.

    Raises
    ------
    MissingDataError : no embeddings shipped, or no texts to encode.
    UnknownNameError : no encoder has that name.
    """
    shipped = data.queries.embeddings is not None
    if encoder == "auto":
        encoder = SHIPPED if shipped else NONE if data.queries.texts is None else "hashing"
    if encoder == NONE:
        return replace(data, encoder=NONE, store_dir=None)
    if encoder == SHIPPED:
        return data
    if encoder not in ENCODERS:
        raise unknown_name("encoder", encoder, [SHIPPED, *ENCODERS])
    texts = data.queries.texts
    if texts is None:
        raise MissingDataError(f"{data.source} has no prompt texts, so {encoder!r} has nothing to encode")
    embeddings = ENCODERS[encoder]().encode(texts)
    # Not in the store: the folder has the shipped ones, so this copy must not be taken for it.
    return replace(data, queries=Queries(data.queries.ids, embeddings, texts), encoder=encoder, store_dir=None)
