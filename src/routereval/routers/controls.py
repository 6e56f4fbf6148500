"""Controls: routers that cannot know the prompt, or only a little of it. A router that routes beats them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from routereval.data.prediction import Prediction, choose
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import MissingDataError, ParameterError
from routereval.routers.contract import ColumnwiseRouter
from routereval.routers.naming import fresh_copy, router_named
from routereval.seeding import generator


class _AsTheOther:
    """Columnwise if the router inside is; asked of the class, what holds for the default."""

    def __get__(self, instance: Any, owner: type) -> bool:
        return True if instance is None else bool(getattr(router_named(instance.router), "columnwise", False))


class _Wrapped(ColumnwiseRouter):
    """A router fitted and asked on data it would not be given."""

    columnwise = _AsTheOther()
    router: Any
    seed: int

    def predict_scores(self, queries: Queries) -> NDArray[np.float64]:
        """Scores of the router inside, (n, m)."""
        return np.asarray(self.predict(queries).scores, dtype=np.float64)

    def predict(self, queries: Queries) -> Prediction:
        """What the router inside says."""
        said: Prediction = self.inner_.predict(self._seen(queries))
        return said

    def predict_slices(self, queries: Queries, slices: Sequence[NDArray[np.intp]]) -> list[Prediction]:
        """What the router inside says of each slice."""
        if hasattr(self.inner_, "predict_slices"):
            return list(self.inner_.predict_slices(self._seen(queries), slices))
        return super().predict_slices(queries, slices)

    def _seen(self, queries: Queries) -> Queries:
        """The queries as the router inside is given them."""
        return queries

    def _fit_inner(self, train: Partition, val: Partition | None) -> Self:
        self.inner_ = fresh_copy(router_named(self.router), self.seed).fit(train, val)
        return self


@dataclass
class ShuffledLabels(_Wrapped):
    """A router whose training targets were permuted among the prompts: the models' means stay, the prompts say nothing.

    What it loses against ``best_single`` is what the router makes of noise; what the same router gains on the real
    targets against this is what it learned from the prompts.

    Parameters
    ----------
    router : a name with parameters, or a router.
    seed : of the permutation, and of the router.
    """

    router: Any = "ridge"
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Fit the router on permuted targets; rows stay whole, so that models stay alike that are alike."""
        mixed = _permuted(train, self.seed, "train")
        return self._fit_inner(mixed, None if val is None else _permuted(val, self.seed, "val"))


@dataclass
class RandomEmbeddings(_Wrapped):
    """A router on random vectors in place of the embeddings, as long as these; the same text has the same vector.

    Parameters
    ----------
    router : a name with parameters, or a router.
    seed : of the vectors, and of the router.
    """

    router: Any = "ridge"
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Fit the router on random vectors."""
        self.length_ = float(np.linalg.norm(train.queries.require_embeddings().astype(np.float64), axis=1).mean())
        return self._fit_inner(
            replace(train, queries=self._seen(train.queries)),
            None if val is None else replace(val, queries=self._seen(val.queries)),
        )

    def _seen(self, queries: Queries) -> Queries:
        d = queries.require_embeddings().shape[1]
        names = queries.ids if queries.texts is None else queries.texts
        vectors = np.empty((len(queries), d), dtype=np.float32)
        for row, name in zip(vectors, names, strict=True):
            direction = generator("random embedding", self.seed, name).normal(size=d)
            row[:] = direction * (self.length_ / np.linalg.norm(direction))
        return Queries(queries.ids, vectors, queries.texts, queries.subsets)


@dataclass
class PromptLength(ColumnwiseRouter):
    """Mean score of the training prompts about as long: all it knows is how many characters and words a prompt has.

    Prompts are cut into `bins` of equal size by log(1 + characters), and each bin in two by log(1 + words). A cell of
    c observed prompts with the mean s scores (c s + a mu) / (c + a), mu the model's train mean and a the shrinkage.

    Parameters
    ----------
    bins : of characters.
    shrinkage : how many observations the train mean counts for.
    """

    needs_embeddings: ClassVar[bool] = False
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {"bins": (8, 2, 4, 16), "shrinkage": (20.0, 5.0, 80.0)}
    bins: int = 8
    shrinkage: float = 20.0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Cut the training prompts into cells and average.

        Raises
        ------
        MissingDataError : there are no texts.
        ParameterError : ``bins`` below 1 or ``shrinkage`` below 0.
        """
        if self.bins < 1:
            raise ParameterError(f"prompt_length has bins = {self.bins}; it must be at least 1")
        _check_shrinkage("prompt_length", self.shrinkage)
        characters, words = _lengths(train.queries)
        self.edges_ = np.quantile(characters, np.arange(1, self.bins) / self.bins)
        bin_ = np.searchsorted(self.edges_, characters, side="left")
        overall = float(np.median(words))
        self.middles_ = np.array(
            [np.median(words[bin_ == b]) if (bin_ == b).any() else overall for b in range(self.bins)]
        )
        self.cell_means_ = _shrunk_means(train, self._cells(characters, words), 2 * self.bins, self.shrinkage)
        return self

    def predict_scores(self, queries: Queries) -> NDArray[np.float64]:
        """Mean target of the query's cell, (n, m)."""
        scores: NDArray[np.float64] = self.cell_means_[self._cells(*_lengths(queries))]
        return scores

    def _cells(self, characters: NDArray[np.float64], words: NDArray[np.float64]) -> NDArray[np.intp]:
        bin_ = np.searchsorted(self.edges_, characters, side="left")
        return np.asarray(2 * bin_ + (words > self.middles_[bin_]), dtype=np.intp)


@dataclass
class SubsetOnly(ColumnwiseRouter):
    """Mean score of the training prompts of the same subset: all it knows of a prompt is which subset it belongs to.

    A subset of c observed prompts with the mean s scores (c s + a mu) / (c + a), mu the model's train mean and a the
    shrinkage; a subset that training never saw has the train means.

    Parameters
    ----------
    shrinkage : how many observations the train mean counts for.
    """

    needs_embeddings: ClassVar[bool] = False
    needs_subsets: ClassVar[bool] = True
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {"shrinkage": (20.0, 2.0, 5.0, 50.0, 100.0, 200.0)}
    shrinkage: float = 20.0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Average within each subset.

        Raises
        ------
        MissingDataError : nobody says which subset a prompt belongs to.
        ParameterError : ``shrinkage`` below 0.
        """
        _check_shrinkage("subset_only", self.shrinkage)
        subsets = _subsets(train.queries)
        self.subsets_ = sorted(set(subsets))
        # One row more than there are subsets: nobody belongs to it, so it has the train means.
        self.subset_means_ = _shrunk_means(train, self._rows(subsets), len(self.subsets_) + 1, self.shrinkage)
        return self

    def predict_scores(self, queries: Queries) -> NDArray[np.float64]:
        """Mean target of the query's subset, (n, m)."""
        scores: NDArray[np.float64] = self.subset_means_[self._rows(_subsets(queries))]
        return scores

    def _rows(self, subsets: Sequence[str]) -> NDArray[np.intp]:
        row = {name: i for i, name in enumerate(self.subsets_)}
        return np.array([row.get(name, len(row)) for name in subsets], dtype=np.intp)


@dataclass
class Majority:
    """The model that is most often among the best on the training prompts, for every prompt.

    A prompt's vote is split evenly between the models that share its best score; a prompt on which all observed models
    score the same votes for nobody. The scores are the shares of the votes.
    """

    columnwise: ClassVar[bool] = False
    needs_embeddings: ClassVar[bool] = False

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Count the votes."""
        targets = train.targets
        seen = ~np.isnan(targets)
        best = np.max(targets, axis=1, keepdims=True, initial=-np.inf, where=seen)
        worst = np.min(targets, axis=1, keepdims=True, initial=np.inf, where=seen)
        winners = seen & (targets == best) & (best > worst)
        share = winners / np.maximum(winners.sum(axis=1, keepdims=True), 1)
        self.votes_ = share.sum(axis=0) / max(1, int(winners.any(axis=1).sum()))
        self.means_ = np.nan_to_num(train.target_means)
        return self

    def predict(self, queries: Queries) -> Prediction:
        """The shares of the votes, and all probability on the model with the largest."""
        scores = np.tile(self.votes_, (len(queries), 1))
        probs = np.zeros_like(scores)
        probs[:, choose(self.votes_[None, :], self.means_)[0]] = 1.0
        return Prediction(scores, probs)


def _permuted(part: Partition, seed: int, name: str) -> Partition:
    order = generator("shuffled labels", seed, name).permutation(len(part))
    scores = replace(part.scores.rows(order), prompt_ids=part.queries.ids)
    return Partition(part.queries, scores, None if part.labels is None else part.labels[order])


def _lengths(queries: Queries) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """log(1 + characters) and log(1 + words) of each prompt, (n,) each."""
    if queries.texts is None:
        raise MissingDataError(
            "prompt_length needs texts, and the data have none; for a table name their column: --map text=COLUMN"
        )
    counts = np.array([(len(text), len(text.split())) for text in queries.texts], dtype=np.float64).reshape(-1, 2)
    return np.log1p(counts[:, 0]), np.log1p(counts[:, 1])


def _subsets(queries: Queries) -> tuple[str, ...]:
    if queries.subsets is None:
        raise MissingDataError(
            "subset_only needs to know which subset each prompt belongs to, and the data do not say; "
            "for a table name the column: --map subset=COLUMN"
        )
    return queries.subsets


def _shrunk_means(part: Partition, group: NDArray[np.intp], groups: int, shrinkage: float) -> NDArray[np.float64]:
    """Mean target of each model within each group, drawn towards its mean over all, (groups, m)."""
    targets = part.targets
    overall = np.nan_to_num(part.target_means)
    means = np.tile(overall, (groups, 1))
    for g in range(groups):
        # One contiguous row per model, so that a model's sum does not depend on which others are there.
        of_group = np.ascontiguousarray(targets[group == g].T, dtype=np.float64)
        count = np.sum(~np.isnan(of_group), axis=1)
        total = np.nansum(of_group, axis=1) + shrinkage * overall
        np.divide(total, count + shrinkage, out=means[g], where=count > 0)
    return means


def _check_shrinkage(name: str, shrinkage: float) -> None:
    if not 0 <= shrinkage < np.inf:
        raise ParameterError(f"{name} has shrinkage = {shrinkage}; it must be 0 or more, and finite")
