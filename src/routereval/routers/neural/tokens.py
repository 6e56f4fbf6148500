"""Texts as token numbers, made once for a whole fit; of a text that is too long, its beginning or its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from routereval.data.queries import Queries
from routereval.errors import MissingDataError

Truncation = Literal["protocol", "first", "last"]
"""Which tokens of a text that is too long are read: the first, as published, the last, or as the protocol says."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """n texts as token numbers.

    Parameters
    ----------
    flat : all of them, one text after the other, int32.
    starts : (n + 1,) where each text begins in ``flat``, and its length.
    cut : how many texts were too long.
    """

    flat: NDArray[np.int32]
    starts: NDArray[np.int64]
    cut: int = 0

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """How many tokens each text has, (n,)."""
        lengths: NDArray[np.int64] = np.diff(self.starts)
        return lengths

    def row(self, i: int) -> NDArray[np.int32]:
        """The tokens of one text."""
        row: NDArray[np.int32] = self.flat[self.starts[i] : self.starts[i + 1]]
        return row


def require_texts(who: str, queries: Queries) -> Sequence[str]:
    """The texts of the queries.

    Raises
    ------
    MissingDataError : there are none.
    """
    if queries.texts is None:
        raise MissingDataError(
            f"{who} needs texts, and the data have none; for a table name their column: --map text=COLUMN"
        )
    return queries.texts


def tokenised(tokenizer: str, texts: Sequence[str], limit: int, truncation: Literal["first", "last"]) -> Tokens:
    """The texts as a tokenizer has them, at most ``limit`` tokens each, special ones included.

    Parameters
    ----------
    tokenizer : its ``tokenizer.json``, as text.
    truncation : whether the first or the last tokens of a text that is too long are kept.
    """
    reader = _reader(tokenizer)
    side = "right" if truncation == "first" else "left"
    reader.enable_truncation(limit, direction=side)
    encoded = reader.encode_batch(list(texts))
    rows = [np.array(one.ids, dtype=np.int32) for one in encoded]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)]).astype(np.int64)
    flat = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int32)
    return Tokens(flat, starts, sum(bool(one.overflowing) for one in encoded))


@lru_cache(maxsize=4)
def _reader(tokenizer: str) -> Any:
    from tokenizers import Tokenizer

    reader = Tokenizer.from_str(tokenizer)
    reader.no_padding()
    return reader
