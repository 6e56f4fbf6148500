"""The router that chooses a router."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

import routereval as rv
from routereval.errors import MissingDataError, ParameterError, UnknownNameError
from routereval.policies import PolicySpec
from routereval.routers import auto, out_of_fold
from routereval.routers.auto import CANDIDATES, AutoRouter
from routereval.routers.out_of_fold import folds_of
from routereval.routers.saving import load_router, save_router
from routereval.routers.stack import Stack
from routereval.sources.synthetic import Synthetic, SyntheticSpec

CLOCK = SimpleNamespace(now=0.0)


@dataclass
class Slow(rv.KNN):
    """Takes three seconds of the clock."""

    def fit(self, train: rv.Partition, val: rv.Partition | None = None) -> Slow:
        CLOCK.now += 3
        return super().fit(train, val)


@dataclass
class Broken:
    """Cannot be fitted."""

    columnwise: ClassVar[bool] = False

    def fit(self, train: rv.Partition, val: rv.Partition | None = None) -> Broken:
        raise ValueError("no solution")


@pytest.fixture(scope="module")
def easy() -> rv.Scenario:
    spec = SyntheticSpec(
        "easy", prompts=1500, models=60, skills=3, dimensions=16, sizes=(5,), specialisation=2, noise=0.1
    )
    return Synthetic(spec).data.scenario("strong_to_weak", 5)


def noise(n: int = 300, m: int = 4, seed: int = 0) -> rv.Partition:
    """Embeddings that say nothing of the scores; the models are about as good as each other."""
    rng = np.random.default_rng(seed)
    ids = tuple(f"{seed}-{i}" for i in range(n))
    dense = (rng.random((n, m)) < 0.5 + 0.02 * np.arange(m)).astype(float)
    queries = rv.Queries(ids, rng.normal(size=(n, 8)).astype(np.float32))
    return rv.Partition(queries, rv.ScoreMatrix.from_dense(dense, ids, tuple("abcdefgh"[:m])))


def test_auto_takes_what_gains_and_says_by_how_much(easy: rv.Scenario) -> None:
    router = AutoRouter(candidates="shuffled_labels:router=knn+knn:k=20").fit(easy.train, None)
    assert router.choice_ == "knn:k=20" or router.choice_.startswith("stack of")
    assert "0.00" not in router.choice_
    mean, error = router.gains_["knn:k=20"]
    assert mean > 2 * error > 0
    assert len(router.gains_) == 2 + 2  # each by itself, a stack of the best, a stack of both
    (note,) = router.notes_
    assert note.startswith(f"auto took {router.choice_}: it gains +0.")
    assert f"over best_single on {len(easy.train)} training prompts in 5 folds; others tried: " in note
    others = note.split("others tried: ")[1].split(", ")
    assert len(others) == len(router.gains_) - 1
    assert all(float(one.rsplit(" ", 1)[1]) <= round(mean, 3) for one in others)


def test_auto_is_better_than_the_best_single_model_where_the_prompt_says_something(easy: rv.Scenario) -> None:
    result = rv.evaluate(AutoRouter(candidates="knn:k=20+kmeans:clusters=6"), easy)
    assert result.mu > rv.evaluate(rv.BestSingle(), easy).mu + 0.03


def test_the_gain_of_a_candidate_is_what_its_choices_score_out_of_fold(easy: rv.Scenario) -> None:
    router = AutoRouter(candidates=(rv.KNN(k=20),), folds=4).fit(easy.train)
    fold, dense, gains = folds_of(easy.train.queries, 4, seed=0), easy.train.scores.dense(), []
    for f in range(4):
        rest, held = easy.train.rows(np.flatnonzero(fold != f)), np.flatnonzero(fold == f)
        means = rest.scores.model_means
        said = rv.KNN(k=20).fit(rest).predict(easy.train.queries.take(held)).scores
        chosen = np.argmax(said + 1e-6 * means, axis=1)
        gains.extend(dense[held, chosen] - dense[held, means.argmax()])
    expected = np.mean(gains), np.std(gains, ddof=1) / np.sqrt(len(gains))
    assert router.gains_["KNN"] == pytest.approx(expected)


def test_validation_prompts_are_judged_on_and_not_learnt_from(easy: rv.Scenario) -> None:
    assert easy.val is not None
    without, with_ = (AutoRouter(candidates="knn:k=20").fit(easy.train, val) for val in (None, easy.val))
    assert f"in 5 folds and {len(easy.val)} validation prompts" in with_.notes_[0]
    assert without.gains_["knn:k=20"] != with_.gains_["knn:k=20"]
    assert with_.gains_["knn:k=20"][1] > 0


def test_where_the_prompt_says_nothing_auto_stays_with_the_best_single_model() -> None:
    taken = []
    for seed in range(12):
        train = noise(seed=seed)
        router = AutoRouter(candidates="knn:k=20+kmeans:clusters=6").fit(train)
        taken.append(router.choice_ == "best_single")
        if taken[-1]:
            best = rv.BestSingle().fit(train).predict(train.queries)
            assert np.array_equal(router.predict(train.queries).scores, best.scores)
            assert "best_single: the best other, " in router.notes_[0]
    assert np.mean(taken) >= 0.6
    strict = AutoRouter(candidates="knn:k=20", standard_errors=5.0).fit(noise())
    assert strict.choice_ == "best_single"


def test_auto_stops_when_its_time_is_up_and_says_what_it_left_out(
    easy: rv.Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (auto, out_of_fold):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: CLOCK.now))
    router = AutoRouter(seconds=10, candidates=(rv.KNN(k=20), Slow(k=20), "kmeans")).fit(easy.train)
    assert "auto ran out of its 10 seconds; not tried: Slow, kmeans" in router.notes_
    assert set(router.gains_) == {"KNN", "stack of KNN"}
    enough = AutoRouter(seconds=18, candidates=(rv.KNN(k=20), Slow(k=20), "kmeans")).fit(easy.train)
    assert not any("ran out" in note for note in enough.notes_[:-1])


def test_a_candidate_that_cannot_be_fitted_is_left_out_and_said(easy: rv.Scenario) -> None:
    router = AutoRouter(candidates=(Broken(), "knn:k=9999", "knn:k=20")).fit(easy.train)
    assert "auto could not try Broken: no solution" in router.notes_
    assert any("could not try knn:k=9999" in note and "9999" in note for note in router.notes_)
    assert "knn:k=20" in router.gains_
    nobody = AutoRouter(candidates=(Broken(),)).fit(easy.train)
    assert nobody.choice_ == "best_single"
    assert "nothing could be tried" in nobody.notes_[-1]


def test_the_notes_are_kept_with_the_run(easy: rv.Scenario) -> None:
    result = rv.evaluate(AutoRouter(candidates="knn:k=20"), easy)
    assert any(note.startswith("auto took ") for note in result.notes)


def test_every_candidate_of_ours_can_be_made() -> None:
    for name in CANDIDATES:
        assert callable(PolicySpec.parse(name).build().fit)


@pytest.mark.parametrize(
    ("router", "error", "message"),
    [
        (AutoRouter(seconds=0), ParameterError, "seconds = 0; it must be above 0"),
        (AutoRouter(folds=1), ParameterError, "folds = 1"),
        (AutoRouter(candidates=""), ParameterError, "no candidates"),
        (AutoRouter(candidates="knn+kmaens"), UnknownNameError, "did you mean 'kmeans'"),
    ],
)
def test_what_cannot_be_is_refused(router: AutoRouter, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        router.fit(noise(30))


def test_without_embeddings_auto_says_so() -> None:
    train = noise(30)
    with pytest.raises(MissingDataError, match="needs embeddings"):
        AutoRouter().fit(rv.Partition(rv.Queries(train.queries.ids), train.scores))


@pytest.mark.parametrize("n", [1, 3])
def test_hardly_any_prompts_are_enough(n: int) -> None:
    train = noise(10).rows(np.arange(n))
    said = AutoRouter(candidates="knn:k=1").fit(train).predict(train.queries)
    assert np.isfinite(said.scores).all()


@pytest.mark.parametrize("candidates", ["knn:k=20", "knn:k=20+kmeans"])
def test_a_saved_choice_says_the_same(candidates: str, easy: rv.Scenario, tmp_path) -> None:
    fitted = AutoRouter(candidates=candidates).fit(easy.train, easy.val)
    assert isinstance(fitted.router_, (Stack, rv.KNN, rv.KMeans))
    save_router(fitted, tmp_path / "saved", model_ids=easy.train.model_ids)
    loaded = load_router(tmp_path / "saved").router
    assert loaded.notes_ == fitted.notes_
    queries = easy.test.queries
    assert loaded.predict(queries).scores.tobytes() == fitted.predict(queries).scores.tobytes()
