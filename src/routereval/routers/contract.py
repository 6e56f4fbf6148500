"""What every router promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from routereval.data.prediction import Prediction, softmax
from routereval.data.queries import Queries
from routereval.data.scenario import Partition

Ties = Literal["protocol", "first", "train_mean"]
"""Who wins among equal scores: the weakest candidate (``first``, as published), the one with the best mean on the
training prompts (``train_mean``), or whichever of the two the protocol says."""


@runtime_checkable
class Router(Protocol):
    """Learns on a partition, then scores the pool's models on queries it has not seen.

    Hyper-parameters are dataclass fields, what was learned ends in ``_``, the constructor only stores. A field ``seed``
    is set to the run's seed, a field ``ties`` to the protocol's rule. So is any field that has the value ``protocol``
    and the name of a rule (:class:`~routereval.protocols.Protocol`).

    What was learned is made of arrays, strings, numbers, None, tuples, lists and dictionaries of these, scikit-learn
    estimators and other routers: then a fitted router can be saved (``routers.saving``).

    A router may also have, as class variables, ``search_space`` (values to try by parameter, best guesses first; what
    ``--tune`` searches), ``needs_embeddings = False``, ``needs_subsets = True`` and ``incidental`` (parameters that
    cannot change the outcome, such as a device: they are no part of what identifies a run), ``reads_files`` (parameters
    that name a file: its content is part of what identifies a run) and ``uses_extra = True``,
    with which ``train.extra`` has the scores of the benchmark's other models on the training prompts; and after
    ``fit`` an attribute ``notes_``, sentences that a reader of its numbers should know, which a run keeps.
    """

    columnwise: ClassVar[bool]
    """Whether a model's predicted score does not depend on which other models are in the pool."""

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Learn; the pool's models are ``train.model_ids``. Returns ``self``."""
        ...

    def predict(self, queries: Queries) -> Prediction:
        """Scores (n queries, m models), the higher the better."""
        ...


class ColumnwiseRouter(ABC):
    """A router that scores each model by itself, so that one fit on many models serves every pool cut from them."""

    columnwise: ClassVar[bool] = True
    paper_entropy_floor: ClassVar[float] = 0.0
    """Under ``paper``, terms of E_p with a probability up to this are dropped, as this router's published code does."""
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {}
    """Values that tuning tries, by parameter."""

    @abstractmethod
    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Learn from queries and targets."""

    @abstractmethod
    def predict_scores(self, queries: Queries) -> NDArray[np.float64]:
        """Scores (n, m) of all models ``fit`` saw."""

    def predict(self, queries: Queries) -> Prediction:
        """Scores and probabilities of all models ``fit`` saw."""
        scores = self.predict_scores(queries)
        return Prediction(scores, softmax(scores))

    def predict_slices(self, queries: Queries, slices: Sequence[NDArray[np.intp]]) -> list[Prediction]:
        """For each slice, what ``predict`` would say had ``fit`` seen only those columns."""
        scores = self.predict_scores(queries)
        cuts = (np.ascontiguousarray(scores[:, columns]) for columns in slices)
        return [Prediction(cut, softmax(cut)) for cut in cuts]
