"""Static word embeddings that ship inside the package ``wordllama``: no download, no PyTorch."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from routereval.encoders.contract import Encoder, unit_rows


@dataclass(frozen=True)
class WordLlama(Encoder):
    """Mean of 256-d static token embeddings distilled from language models' own; rows of length one.

    It knows what single words mean, in English mostly, and nothing of their order. A text is read whole.
    """

    requires: ClassVar[tuple[str, ...]] = ("wordllama",)
    install: ClassVar[str] = "pip install wordllama"
    batch_size = 512

    @property
    def revision(self) -> str:
        """The package's version: its weights come with it."""
        return metadata.version("wordllama")

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings (n, 256) float32; of a text without tokens, zeros."""
        from scipy.sparse import csr_matrix

        model = _model()
        tokens = [one.ids for one in model.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
        ends = np.cumsum([0, *map(len, tokens)])
        words = np.concatenate([np.asarray(ids, dtype=np.int32) for ids in tokens])
        # The package's own embed() pads every text to the longest; a product with the counts of tokens need not.
        ones = np.ones(len(words), dtype=np.float32)
        counts = csr_matrix((ones, words, ends), (len(tokens), len(model.embedding)))  # type: ignore[no-untyped-call]
        return unit_rows(counts @ model.embedding)


@cache
def _model() -> Any:
    with _logging_as_it_was():
        import wordllama
    # Its own folder has the weights and the tokenizer; told so, it never looks elsewhere.
    model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    model.tokenizer.no_padding()
    return model


@contextmanager
def _logging_as_it_was() -> Iterator[None]:
    """The package sets up logging for the whole process when imported; that is not its to decide."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    # With a handler there already, basicConfig does nothing.
    guard = logging.NullHandler()
    root.addHandler(guard)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
