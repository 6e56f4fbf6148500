"""One routing problem: a pool of models, prompts to learn on, prompts to be tested on."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from routereval.data.queries import Queries
from routereval.data.scores import ScoreMatrix, read_only, unpack
from routereval.errors import DataError

STRATEGIES = ("all_strong", "all_weak", "strong_to_weak")


@dataclass(frozen=True)
class CandidatePool:
    """The models a router chooses from, and how they were picked.

    Raises
    ------
    DataError : fewer than two models, a model twice, or a strategy that cannot be part of an id.
    """

    model_ids: tuple[str, ...]
    strategy: str
    seed: int | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.-]*", self.strategy):
            raise DataError(f"{self.strategy!r} cannot name a strategy: letters, digits, '_', '-' and '.' are")
        if len(self.model_ids) < 2:
            raise DataError(f"a pool of {len(self.model_ids)} models leaves nothing to route; it needs at least 2")
        if len(set(self.model_ids)) != len(self.model_ids):
            seen: set[str] = set()
            twice = sorted({name for name in self.model_ids if name in seen or seen.add(name)})  # type: ignore[func-returns-value]
            raise DataError(f"{len(twice)} models are in the pool more than once: {', '.join(twice[:5])}")

    def __len__(self) -> int:
        return len(self.model_ids)


@dataclass(frozen=True, eq=False)
class Partition:
    """Queries with the scores of the pool's models on them: what ``fit`` gets.

    Parameters
    ----------
    queries : n of them.
    scores : n prompts x m models.
    labels : (n, m) float32, nan where not observed: what to learn instead of the scores, None where it is the scores.
    extra : n prompts x M models: what every model of the benchmark scored on these same prompts, those of the pool
        among them; None where nobody knows more than the pool. It holds training prompts and no others, and reaches
        only routers that say so by ``uses_extra = True`` (the extra data D of Huang et al. 2025).
    """

    queries: Queries
    scores: ScoreMatrix
    labels: NDArray[np.float32] | None = None
    extra: ScoreMatrix | None = None

    def __post_init__(self) -> None:
        if self.queries.ids != self.scores.prompt_ids:
            raise DataError(
                f"{len(self.queries)} queries and {self.scores.shape[0]} rows of scores are not the same prompts"
            )
        if self.labels is not None and self.labels.shape != self.scores.shape:
            raise DataError(f"labels have shape {self.labels.shape}, scores {self.scores.shape}")
        if self.extra is not None and self.extra.prompt_ids != self.queries.ids:
            raise DataError(
                f"{len(self.queries)} queries and {self.extra.shape[0]} rows of extra scores are not the same prompts"
            )
        if self.labels is not None:
            object.__setattr__(self, "labels", read_only(self.labels))

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def model_ids(self) -> tuple[str, ...]:
        """The m models, in the order of the columns."""
        return self.scores.model_ids

    def rows(self, index: NDArray[np.intp]) -> Partition:
        """The prompts at these positions, in this order."""
        labels = None if self.labels is None else self.labels[index]
        extra = None if self.extra is None else self.extra.rows(index)
        return Partition(self.queries.take(index), self.scores.rows(index), labels, extra)

    @property
    def targets(self) -> NDArray[np.float32]:
        """What to learn, (n, m) in [0, 1]: the labels where there are any, else the scores; nan where not observed."""
        return self.scores.dense() if self.labels is None else self.labels

    @property
    def targets_by_model(self) -> NDArray[np.float32] | NDArray[np.uint8]:
        """The targets (m, n), one contiguous row per model; zeros and ones as uint8 where that is all there is."""
        if self.labels is None and self.scores.bits is not None and self.scores.complete:
            return unpack(self.scores.bits, len(self)).T
        return np.ascontiguousarray(self.targets.T)

    @property
    def target_means(self) -> NDArray[np.float64]:
        """Mean target of each model over its observed prompts, (m,); nan where there is none."""
        if self.labels is None:
            return self.scores.model_means
        return ScoreMatrix.from_dense(
            self.labels, self.scores.prompt_ids, self.scores.model_ids, missing=True
        ).model_means


@dataclass(frozen=True, eq=False)
class Scenario:
    """One routing problem.

    Parameters
    ----------
    id : ``benchmark/strategy/m``.
    pool : the m candidates, columns of every score matrix here.
    train, val, test : learn, tune, be tested; ``val`` may be None.
    reference_score : Perf(ref), the fixed strong model's score on the benchmark; None where nobody published one.
    reference_model : its name.
    data_hash : sha256 that names the data it was cut from.
    encoder : which embeddings the queries carry.
    pools_saw_test : whether test prompts had a say in picking the pool.
    """

    id: str
    pool: CandidatePool
    train: Partition
    val: Partition | None
    test: Partition
    reference_score: float | None = None
    reference_model: str | None = None
    data_hash: str = ""
    encoder: str = "shipped"
    pools_saw_test: bool = False
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        for part in (self.train, self.val, self.test):
            if part is not None and part.model_ids != self.pool.model_ids:
                raise DataError(f"{self.id}: the columns of the scores are not the models of the pool")
        for part in (self.val, self.test):
            if part is not None and part.extra is not None:
                raise DataError(f"{self.id}: scores of other models are there for training prompts only")

    @property
    def benchmark(self) -> str:
        """The first part of the id."""
        return self.id.split("/", maxsplit=1)[0]

    @property
    def strategy(self) -> str:
        """How the pool was picked."""
        return self.pool.strategy

    @property
    def m(self) -> int:
        """How many candidates."""
        return len(self.pool)

    def __str__(self) -> str:
        val = 0 if self.val is None else len(self.val)
        return (
            f"{self.id}: {self.m} models, {len(self.train)} train / {val} val / {len(self.test)} test prompts, "
            f"{'binary' if self.test.scores.binary else 'graded'} scores"
        )

    def with_train(self, train: Partition) -> Scenario:
        """The same problem with other training data."""
        return replace(self, train=train)
