"""What a router may see of a prompt: its id, its text, its embedding, its subset. No scores, by type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from routereval.data.part_files import cut_out
from routereval.data.scores import read_only
from routereval.data.texts import take_texts
from routereval.errors import DataError, MissingDataError


@dataclass(frozen=True, eq=False, repr=False)
class Queries:
    """n prompts as a router sees them.

    Parameters
    ----------
    ids : n names, each once.
    embeddings : (n, d) float32, finite; None where there are none.
    texts : n strings; None where there are none.
    subsets : n names, the part of the benchmark each prompt belongs to; None where there are no parts.

    Raises
    ------
    DataError : lengths that differ, embeddings that are not finite or not (n, d), an id twice.
    """

    ids: tuple[str, ...]
    embeddings: NDArray[np.float32] | None = None
    texts: Sequence[str] | None = None
    subsets: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        n = len(self.ids)
        if len(set(self.ids)) != n:
            raise DataError(f"{n} prompt ids, only {len(set(self.ids))} of them different; every prompt needs its own")
        if self.embeddings is not None:
            if self.embeddings.ndim != 2 or len(self.embeddings) != n or self.embeddings.shape[1] == 0:
                raise DataError(f"embeddings have shape {self.embeddings.shape}; expected ({n}, d) for {n} prompts")
            # What is mapped from the store was checked when it was stored; to check it here would be to read it all.
            if not isinstance(self.embeddings, np.memmap) and not np.isfinite(self.embeddings).all():
                rows = np.flatnonzero(~np.isfinite(self.embeddings).all(axis=1))
                raise DataError(f"{len(rows)} embeddings are not finite (first: prompt {self.ids[rows[0]]!r})")
            object.__setattr__(self, "embeddings", read_only(self.embeddings))
        if self.texts is not None and len(self.texts) != n:
            raise DataError(f"{len(self.texts)} texts for {n} prompts")
        if self.subsets is not None and len(self.subsets) != n:
            raise DataError(f"{len(self.subsets)} subsets for {n} prompts")

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        size = "none" if self.embeddings is None else f"{self.embeddings.shape[1]}-d"
        return f"Queries({len(self)} prompts, embeddings {size}, texts {'yes' if self.texts is not None else 'none'})"

    def take(self, index: NDArray[np.intp]) -> Queries:
        """The prompts at these positions, in this order."""
        return Queries(
            tuple(self.ids[i] for i in index),
            None if self.embeddings is None else cut_out(self.embeddings, index),
            None if self.texts is None else take_texts(self.texts, index),
            None if self.subsets is None else tuple(self.subsets[i] for i in index),
        )

    def require_embeddings(self) -> NDArray[np.float32]:
        """The embeddings (n, d).

        Raises
        ------
        MissingDataError : there are none.
        """
        if self.embeddings is None:
            raise MissingDataError(
                "this router needs embeddings, and the data have neither these nor texts to make them of; "
                "for a table give --embeddings FILE.npy (Python: embeddings=), or a column of texts"
            )
        return self.embeddings
