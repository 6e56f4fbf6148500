"""TF-IDF of hashed words, reduced by an SVD: latent semantic analysis, fitted on texts that may be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.encoders.contract import Encoder, unit_rows
from routereval.errors import DataError


@dataclass
class TfidfSvd(Encoder):
    """Weights of hashed words and pairs of words, reduced to ``dimensions`` by an SVD; rows of length one.

    It knows which words occur together in the training and validation texts, which is what it is fitted on, never on
    test texts. n texts give fewer than n dimensions.

    Deerwester et al. 1990, Indexing by latent semantic analysis.
    """

    batch_size = 1024
    dimensions: int = 256
    buckets: int = 2**15
    seed: int = 0
    pipeline_: Any = field(default=None, init=False, repr=False, compare=False)

    def fit(self, texts: Sequence[str]) -> TfidfSvd:
        """Learn word weights and directions from these texts, at least two of them."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
        from sklearn.pipeline import make_pipeline

        if len(texts) < 2:
            raise DataError(f"tfidf_svd is fitted on {len(texts)} training and validation texts; it needs at least 2")
        width = min(self.dimensions, len(texts) - 1, self.buckets - 1)
        words = {"n_features": self.buckets, "ngram_range": (1, 2), "dtype": np.float32}
        hashed = HashingVectorizer(alternate_sign=False, norm=None, **words)
        weighted = TfidfTransformer(sublinear_tf=True)
        # Two iterations: more of them change the smallest directions only, and cost most of the time.
        svd = TruncatedSVD(width, n_iter=2, random_state=self.seed)
        counts = weighted.fit_transform(hashed.transform(texts))
        if counts.nnz == 0:
            raise DataError("tfidf_svd is fitted on texts without a single word of two letters")
        # Not svd.fit_transform over the pipeline: a variance of nothing, for texts all alike, would be divided by.
        with np.errstate(invalid="ignore", divide="ignore"):
            svd.fit(counts)
        self.pipeline_ = make_pipeline(hashed, weighted, svd)
        return self

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings (n, dimensions) float32; of a text with no word of the fitted ones, zeros."""
        if self.pipeline_ is None:
            raise DataError("tfidf_svd has not been fitted; call fit(texts) with training texts first")
        return unit_rows(self.pipeline_.transform(texts).astype(np.float32))
