"""A mixture of Gaussians over the prompts: every query belongs to each of them in part."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from routereval.data.prediction import softmax
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import DataError, ParameterError
from routereval.routers.clusters import as_many_as_there_are, check_shrinkage, weighted_means_in_clusters
from routereval.routers.contract import ColumnwiseRouter
from routereval.routers.products import columns_product

Covariance = Literal["diag", "spherical"]
"""Each cluster has a variance per direction (``diag``) or one for all of them (``spherical``)."""

_LEAST_VARIANCE = 1e-3
"""Added to every variance, as a share of that of all prompts: a cluster of one prompt has one, too."""


@dataclass
class GMM(ColumnwiseRouter):
    """Mean score of the clusters of a Gaussian mixture, weighted by the query's membership (expectation maximisation).

    ``s_m(x) = sum_k r_k(x) mu_km``, with ``r`` the posterior of the clusters and ``mu_km = (sum_i r_k(x_i) y_im +
    shrinkage * mean_m) / (sum_i r_k(x_i) + shrinkage)``, i over the training prompts that model m was observed on.
    The mixture is scikit-learn's (Dempster, Laird and Rubin 1977), on the first principal components.

    Parameters
    ----------
    clusters : how many; at most the number of training prompts, to which a larger one is cut.
    dimensions : how many principal components; at most what the training prompts have, to which a larger one is cut.
    covariance : diagonal or spherical.
    shrinkage : how many prompts of every cluster a model's train mean counts for.
    seed : of scikit-learn's PCA and GaussianMixture.
    """

    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "clusters": (8, 3, 16, 32),
        "shrinkage": (30.0, 10.0, 100.0),
        "dimensions": (32, 8),
    }
    clusters: int = 8
    dimensions: int = 32
    covariance: Covariance = "diag"
    shrinkage: float = 30.0
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Fit the mixture to the training prompts and average each model's targets by membership.

        Raises
        ------
        ParameterError : ``clusters`` or ``dimensions`` below 1, ``shrinkage`` below 0, a ``covariance`` that there is
            not.
        DataError : a single training prompt.
        """
        self._check(len(train))
        embeddings = train.queries.require_embeddings()
        self._reduce(embeddings)
        self._mix(self._reduced(embeddings), as_many_as_there_are("gmm", self.clusters, len(train)))
        self.cluster_means_ = weighted_means_in_clusters(
            train.targets, self._membership(train.queries), train.target_means, self.shrinkage
        )
        return self

    def predict_scores(self, queries: Queries) -> NDArray[np.float64]:
        """Means of the clusters by membership, (n, m)."""
        return columns_product(self._membership(queries), self.cluster_means_.T)

    def _reduce(self, embeddings: NDArray[np.float32]) -> None:
        """Learn the principal components, and the scale on which all prompts have variance 1."""
        from sklearn.decomposition import PCA

        kept = min(self.dimensions, *embeddings.shape)
        with np.errstate(invalid="ignore", divide="ignore"):  # prompts that are all the same have no variance to share
            pca = PCA(kept, random_state=self.seed).fit(embeddings.astype(np.float64))
        self.centre_, self.axes_ = pca.mean_, pca.components_
        self.scale_ = float(np.sqrt(pca.explained_variance_.mean())) or 1.0

    def _reduced(self, embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
        reduced: NDArray[np.float64] = (embeddings - self.centre_) @ self.axes_.T / self.scale_
        return reduced

    def _mix(self, points: NDArray[np.float64], clusters: int) -> None:
        """Learn the mixture: log weights (k,), centres and inverse variances (k, dimensions)."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        mixture: Any = GaussianMixture(
            clusters, covariance_type=self.covariance, reg_covar=_LEAST_VARIANCE, random_state=self.seed
        )
        with warnings.catch_warnings():
            # Fewer distinct prompts than clusters, or steps left to take: it is a mixture all the same.
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(points)
        precisions = mixture.precisions_ if self.covariance == "diag" else mixture.precisions_[:, None]
        self.centres_ = mixture.means_
        self.precisions_ = np.ascontiguousarray(np.broadcast_to(precisions, self.centres_.shape))
        with np.errstate(divide="ignore"):  # a cluster of no prompts
            self.log_weights_ = np.log(mixture.weights_)

    def _membership(self, queries: Queries) -> NDArray[np.float64]:
        """Posterior of the clusters, (n, k), rows summing to one."""
        points = self._reduced(queries.require_embeddings())
        squares = np.stack(
            [((points - c) ** 2 * p).sum(axis=1) for c, p in zip(self.centres_, self.precisions_, strict=True)], axis=1
        )
        return softmax(self.log_weights_ + np.log(self.precisions_).sum(axis=1) / 2 - squares / 2)

    def _check(self, n: int) -> None:
        as_many_as_there_are("gmm", self.clusters, n)
        if self.dimensions < 1:
            raise ParameterError(f"gmm has dimensions = {self.dimensions}; it must be at least 1")
        check_shrinkage("gmm", self.shrinkage)
        if self.covariance not in get_args(Covariance):
            raise ParameterError(f"gmm has covariance = {self.covariance!r}; expected diag or spherical")
        if n < 2:
            raise DataError(f"gmm has {n} training prompt; a mixture needs at least 2")
