"""What an encoder is: a dataclass whose fields are its parameters, and what it need not say itself."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Keep = Literal["first", "last"]
"""Which end of a text is read where it is longer than an encoder can read."""


class Encoder:
    """Text to embeddings; encoders derive from it and add fields and :meth:`encode`.

    A text's embedding depends on the text, the fields and the revision, and never on the texts beside it, so that it
    can be kept under these.
    """

    requires: ClassVar[tuple[str, ...]] = ()
    """Modules it cannot do without."""
    install: ClassVar[str] = ""
    """The command that brings them."""
    incidental: ClassVar[frozenset[str]] = frozenset({"batch_size", "device"})
    """Fields that leave the numbers alone."""
    remote: ClassVar[bool] = False
    """Whether texts leave this machine."""
    batch_size: int = 256
    """How many texts are encoded, and kept, at a time."""

    @property
    def revision(self) -> str:
        """What the numbers depend on beside the fields: a version of code or weights, known without loading them."""
        return "1"

    @property
    def limit(self) -> str:
        """How much of a text it reads, for people; empty where all of it."""
        return ""

    def shorten(self, texts: Sequence[str]) -> tuple[list[str], NDArray[np.bool_]]:
        """The part of each text that it reads, and whether that is less than all of it, (n,)."""
        return list(texts), np.zeros(len(texts), dtype=np.bool_)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings (n, d) float32 of texts that :meth:`shorten` gave back."""
        raise NotImplementedError


@runtime_checkable
class Fitted(Protocol):
    """An encoder that learns from texts, not from scores, before it can encode."""

    def fit(self, texts: Sequence[str]) -> object:
        """Learn from these texts and return itself."""
        ...


def absent(encoder: type[Encoder]) -> list[str]:
    """The modules an encoder needs that are not installed; nothing is imported."""
    return [name for name in encoder.requires if find_spec(name) is None]


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same at length one; rows of zeros stay."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1), dtype=np.float32)
