"""Hashed words: an encoder that needs no weights and no training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from routereval.encoders.contract import Encoder


@dataclass(frozen=True)
class Hashing(Encoder):
    """Counts of words and pairs of words, hashed into ``dimensions`` signed buckets, rows of length one.

    It knows nothing of meaning; it is what makes routing possible where there are texts and no embeddings.
    """

    batch_size = 512
    dimensions: int = 512

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings (n, dimensions) float32."""
        from sklearn.feature_extraction.text import HashingVectorizer

        vectorizer = HashingVectorizer(n_features=self.dimensions, ngram_range=(1, 2), dtype=np.float32)
        dense: NDArray[np.float32] = vectorizer.transform(texts).toarray()
        return dense
