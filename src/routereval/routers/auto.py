"""The router that chooses a router: candidates are compared on prompts they were not fitted on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from routereval.data.outcome import standing
from routereval.data.prediction import Prediction, choose
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import ParameterError, RouterEvalError
from routereval.routers.best_single import BestSingle
from routereval.routers.blending import Moments, on_score_scale, rescaled
from routereval.routers.naming import fresh_copy, label_of, router_named, split_names
from routereval.routers.out_of_fold import OutOfTime, folds_of, out_of_fold, predicted
from routereval.routers.stack import Stack, handicap

CANDIDATES = (
    *("knn:k=40,shrinkage=20", "ridge", "gmm", "avengers"),
    *("logistic", "mf", "mirt", "boosting"),
)
"""What is tried, from cheap to expensive: one of each family that learns from the embedding."""

FEW = 3
"""How many of the best candidates a stack is made of, besides the stack of one and that of all."""


@dataclass(frozen=True)
class _Trial:
    """What one way of routing scored on the judging prompts: ``gain`` over best_single, (n,), nan where not counted."""

    members: tuple[int, ...]
    stacked: bool
    gain: NDArray[np.float64]

    @property
    def mean(self) -> float:
        return float(self.gain.mean()) if len(self.gain) else 0.0

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return float(self.gain.std(ddof=1) / np.sqrt(len(self.gain))) if len(self.gain) > 1 else np.inf


@dataclass(frozen=True)
class _Candidate:
    """A router that was tried: fitted on all training prompts, and what it said of prompts it had not seen.

    ``scores`` are those of the training prompts out of fold, then those of the validation prompts.
    """

    name: Any
    fitted: Any
    scores: NDArray[np.float32]


@dataclass
class AutoRouter:
    """Tries routers from cheap to expensive by cross-validation, and stays with ``best_single`` unless one is better.

    Every candidate predicts the training prompts out of fold; what its choices score is compared with those of
    ``best_single`` prompt by prompt. Stacks of the best few (``stack``: weights found without the fold they are judged
    on) take part. The best stack stands for all, unless a candidate is better by more than one standard error; it is
    taken if it gains more than one standard error over ``best_single``, else that is.

    Parameters
    ----------
    seconds : no candidate, and no fold of one, is begun after this time. While it suffices, the choice depends on the
        data and the seed alone; where it does not, ``notes_`` says so.
    candidates : names with parameters, from cheap to expensive; ``"knn+ridge"``, or a tuple of names and routers.
        None: those of ours.
    folds : how many parts the training prompts are cut into.
    standard_errors : by how many of them somebody has to be better to be taken.
    seed : of the folds, and of the routers.
    """

    columnwise: ClassVar[bool] = False
    needs_embeddings: ClassVar[bool] = True
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {}
    seconds: float = 60.0
    candidates: Any = None
    folds: int = 5
    standard_errors: float = 1.0
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Compare, choose, and fit the choice on all training prompts.

        Learned: ``choice_``, its name; ``router_``, itself; ``gains_``, mean gain and standard error by candidate;
        ``notes_``, what was chosen and why, in sentences.

        Raises
        ------
        ParameterError : ``seconds`` not above 0, fewer than two folds, no candidates.
        """
        deadline = time.monotonic() + self.seconds
        names = self._names()
        self._check(names)
        train.queries.require_embeddings()
        fold = folds_of(train.queries, self.folds, self.seed)
        self.gains_: dict[str, tuple[float, float]] = {}
        self.notes_: tuple[str, ...] = ()
        self.choice_ = "best_single"
        self.router_: Any = BestSingle().fit(train)
        if fold.max(initial=0) == 0 or len(train.model_ids) == 1:
            self.notes_ = ("auto took best_single: there is nothing to compare routers on",)
            return self
        tried = self._tried(names, train, val, fold, deadline)
        judge = _Judge(train, val, fold)
        trials = [_Trial((i,), False, judge.gain(one.scores)) for i, one in enumerate(tried)]
        trials += self._stacks(trials, tried, judge)
        for trial in trials:
            self.gains_[_label(trial, tried)] = (trial.mean, trial.error)
        best = _best(trials, self.standard_errors)
        self._choose(best, tried, train, fold, f"on {judge}")
        return self

    def predict(self, queries: Queries) -> Prediction:
        """What the chosen router says."""
        said: Prediction = self.router_.predict(queries)
        return said

    def _names(self) -> list[Any]:
        if self.candidates is None:
            return list(CANDIDATES)
        return split_names(self.candidates) if isinstance(self.candidates, str) else list(self.candidates)

    def _check(self, names: Sequence[Any]) -> None:
        if not self.seconds > 0:
            raise ParameterError(f"auto has seconds = {self.seconds}; it must be above 0")
        if self.folds < 2:
            raise ParameterError(f"auto has folds = {self.folds}; it must be at least 2")
        if not names:
            raise ParameterError("auto has no candidates; write candidates=knn+ridge, or leave it out")
        for name in names:
            # A name that there is not is the caller's mistake, not a candidate that failed.
            router_named(name)

    def _tried(
        self, names: Sequence[Any], train: Partition, val: Partition | None, fold: NDArray[np.intp], deadline: float
    ) -> list[_Candidate]:
        """The candidates that could be fitted in time."""
        tried = []
        for i, name in enumerate(names):
            try:
                scores = out_of_fold(name, train, fold, self.seed, deadline)
                fitted = fresh_copy(router_named(name), self.seed).fit(train, val)
                if val is not None:
                    scores = np.concatenate([scores, predicted(fitted, val.queries, name).astype(np.float32)])
                tried.append(_Candidate(name, fitted, scores))
            except OutOfTime:
                left = ", ".join(label_of(one) for one in names[i:])
                self.notes_ += (f"auto ran out of its {self.seconds:g} seconds; not tried: {left}",)
                break
            except (RouterEvalError, ValueError, ArithmeticError) as error:
                self.notes_ += (f"auto could not try {label_of(name)}: {error}",)
        return tried

    def _stacks(self, singles: list[_Trial], tried: list[_Candidate], judge: _Judge) -> list[_Trial]:
        """Stacks of the best one, of the best few and of all, as they would do on prompts they were not weighted on."""
        order = sorted(range(len(singles)), key=lambda i: -singles[i].mean)
        sizes = sorted({min(size, len(order)) for size in (1, FEW, len(order))} - {0})
        groups = [tuple(sorted(order[:size])) for size in sizes]
        gains = judge.stacked_gains([one.scores for one in tried], groups)
        return [_Trial(members, True, gain) for members, gain in zip(groups, gains, strict=True)]

    def _choose(
        self, best: _Trial | None, tried: list[_Candidate], train: Partition, fold: NDArray[np.intp], on: str
    ) -> None:
        if best is None or not best.mean > self.standard_errors * best.error:
            why = "nothing could be tried" if best is None else f"the best other, {_label(best, tried)}, gains"
            gained = "" if best is None else _signed(best)
            self.notes_ += (f"auto took best_single: {why}{gained} {on}{self._others(best, tried)}",)
            return
        members = [tried[i] for i in best.members]
        self.choice_, self.router_ = _label(best, tried), members[0].fitted
        if best.stacked:
            stack = Stack(tuple(one.name for one in members), self.folds, self.seed)
            self.router_ = stack.weigh(
                train, fold, [one.scores[: len(train)] for one in members], [one.fitted for one in members]
            )
            self.choice_ = f"{self.choice_} ({stack.describe()})"
        gained = f"it gains{_signed(best)} over best_single {on}{self._others(best, tried)}"
        self.notes_ += (f"auto took {self.choice_}: {gained}",)

    def _others(self, best: _Trial | None, tried: list[_Candidate]) -> str:
        """What the others that were tried gained, the best first."""
        others = {name: gain for name, (gain, _) in self.gains_.items() if best is None or name != _label(best, tried)}
        ranked = sorted(others.items(), key=lambda one: -one[1])
        return f"; others tried: {', '.join(f'{name} {gain:+.3f}' for name, gain in ranked)}" if ranked else ""


def _best(trials: Sequence[_Trial], standard_errors: float) -> _Trial | None:
    """The best stack, which is drawn towards the means; a candidate if it is better than that beyond noise."""
    stack = max((trial for trial in trials if trial.stacked), key=lambda trial: trial.mean, default=None)
    single = max((trial for trial in trials if not trial.stacked), key=lambda trial: trial.mean, default=None)
    if stack is None or single is None:
        return stack or single
    ahead = _Trial((), False, single.gain - stack.gain)
    return single if ahead.mean > standard_errors * ahead.error else stack


def _label(trial: _Trial, tried: list[_Candidate]) -> str:
    names = "+".join(label_of(tried[i].name) for i in trial.members)
    return f"stack of {names}" if trial.stacked else names


class _Judge:
    """What choices score on the training prompts, fold by fold, against those of ``best_single`` of the same fold."""

    def __init__(self, train: Partition, val: Partition | None, fold: NDArray[np.intp]):
        n, folds = len(train), int(fold.max()) + 1
        parts = [train] if val is None else [train, val]
        self._about = f"{n} training prompts in {folds} folds"
        self._about += "" if val is None else f" and {len(val)} validation prompts"
        self._targets = np.concatenate([part.targets for part in parts])
        self._seen = ~np.isnan(self._targets)
        # Validation prompts are one more fold; all training prompts are learnt from for it.
        self._fold = np.concatenate([fold, np.full(len(self._targets) - n, folds)])
        self._held = [self._fold == f for f in range(int(self._fold.max()) + 1)]
        rests = [train if f == folds else train.rows(np.flatnonzero(fold != f)) for f in range(len(self._held))]
        self._means = [np.nan_to_num(rest.target_means) for rest in rests]
        self._handicaps = [handicap(rest) for rest in rests]
        standings = [standing(rest.scores.model_means, rest.scores.counts, len(rest)) for rest in rests]
        self._best_single = self._routed(self._by_prompt(standings))

    def __str__(self) -> str:
        return self._about

    def gain(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score of the choices less that of ``best_single``, on every prompt that any model was observed on."""
        counted = self._seen.any(axis=1)
        gain: NDArray[np.float64] = (self._routed(scores) - self._best_single)[counted]
        return gain

    def stacked_gains(
        self, predictions: list[NDArray[np.float32]], groups: Sequence[tuple[int, ...]]
    ) -> list[NDArray[np.float64]]:
        """The same of stacks, each of a group of these out-of-fold predictions, each fold weighted by the others.

        Only the two numbers of a logistic curve are shared by the folds.
        """
        scales = [on_score_scale(one, self._targets) for one in predictions]
        members = [rescaled(one, scale) for one, scale in zip(predictions, scales, strict=True)]
        every = [self._by_prompt(self._means), *members]
        parts = [Moments.of(every, self._targets, np.flatnonzero(held)) for held in self._held]
        gains = []
        for group in groups:
            columns = [0, *(i + 1 for i in group)]
            scores = np.empty(self._targets.shape, dtype=np.float32)
            for f, held in enumerate(self._held):
                first, *others = [part for g, part in enumerate(parts) if g != f]
                weights = sum(others, first).only(columns).weights()
                blended = sum((w * every[i][held] for w, i in zip(weights, columns, strict=True)), np.zeros(1))
                # As the stack has it: models that were hardly observed stand behind the others.
                scores[held] = blended + self._handicaps[f]
            gains.append(self.gain(scores))
        return gains

    def _by_prompt(self, by_fold: list[NDArray[np.float64]]) -> NDArray[np.float32]:
        """What holds for each fold's models, for each prompt of it, (n, m)."""
        spread: NDArray[np.float32] = np.stack(by_fold).astype(np.float32)[self._fold]
        return spread

    def _routed(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score of the model with the highest one on each prompt, ties by train mean; 0 where none was observed."""
        chosen = np.empty(len(scores), dtype=np.intp)
        for means, held in zip(self._means, self._held, strict=True):
            chosen[held] = choose(scores[held], means, self._seen[held])
        values = np.nan_to_num(self._targets[np.arange(len(chosen)), np.maximum(chosen, 0)]).astype(np.float64)
        return np.where(chosen >= 0, values, 0.0)


def _signed(trial: _Trial) -> str:
    return f" {trial.mean:+.4f} (standard error {trial.error:.4f})"
