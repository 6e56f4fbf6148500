"""Prompt texts kept as one blob of UTF-8, decoded one at a time when they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from routereval.errors import DataError


class Texts(Sequence[str]):
    """n strings in one memory-mapped blob.

    Parameters
    ----------
    blob : the bytes of all strings, end to end.
    offsets : (N + 1,) where each string begins, and where the last one ends.
    index : which of the N strings these are, in order; None means all.
    """

    def __init__(self, blob: NDArray[np.uint8], offsets: NDArray[np.int64], index: NDArray[np.intp] | None = None):
        self._blob = blob
        self._offsets = offsets
        self._index = np.arange(len(offsets) - 1) if index is None else np.asarray(index, dtype=np.intp)

    @classmethod
    def encode(cls, strings: Sequence[str]) -> Texts:
        """The blob of these strings; what UTF-8 cannot say (a lone surrogate) is kept by ``surrogatepass``."""
        pieces = [text.encode("utf-8", "surrogatepass") for text in strings]
        offsets = np.zeros(len(pieces) + 1, dtype=np.int64)
        np.cumsum([len(piece) for piece in pieces], out=offsets[1:])
        return cls(np.frombuffer(b"".join(pieces), dtype=np.uint8), offsets)

    @property
    def arrays(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """The blob and the offsets, as ``encode`` made them."""
        return self._blob, self._offsets

    def take(self, index: NDArray[np.intp]) -> Texts:
        """The strings at these positions, still undecoded."""
        return Texts(self._blob, self._offsets, self._index[index])

    def __len__(self) -> int:
        return len(self._index)

    @overload
    def __getitem__(self, i: int) -> str: ...
    @overload
    def __getitem__(self, i: slice) -> Texts: ...
    def __getitem__(self, i: int | slice) -> str | Texts:
        if isinstance(i, slice):
            return Texts(self._blob, self._offsets, self._index[i])
        at = self._index[i]
        try:
            return self._blob[self._offsets[at] : self._offsets[at + 1]].tobytes().decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise DataError(f"text {at} of the store is damaged ({error}); read the data again") from error

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))


def take_texts(texts: Sequence[str], index: NDArray[np.intp]) -> Sequence[str]:
    """The strings at these positions, without decoding them where that can wait."""
    return texts.take(index) if isinstance(texts, Texts) else [texts[i] for i in index]
