"""The ranking router: its losses' derivatives, what it falls back to, and that it learns an order."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

import routereval as rv
from routereval.data.prediction import softmax
from routereval.errors import ParameterError
from routereval.routers.ranking import Loss, _slopes
from routereval.sources.synthetic import Synthetic, SyntheticSpec

LOSSES: tuple[Any, ...] = get_args(Loss)


def partition(dense: Any, embeddings: Any) -> rv.Partition:
    dense = np.asarray(dense, dtype=np.float32)
    ids = tuple(map(str, range(len(dense))))
    models = tuple(f"m{j}" for j in range(dense.shape[1]))
    scores = rv.ScoreMatrix.from_dense(dense, ids, models, missing=bool(np.isnan(dense).any()))
    return rv.Partition(rv.Queries(ids, np.asarray(embeddings, dtype=np.float32)), scores)


def listwise(f: np.ndarray, s: np.ndarray) -> float:
    return float(-(s / s.sum() * np.log(softmax(f[None])[0])).sum())


def expected_score(f: np.ndarray, s: np.ndarray) -> float:
    return float(-(softmax(f[None])[0] * s).sum())


def pairwise_of_all(f: np.ndarray, s: np.ndarray) -> float:
    gain, gap = s[:, None] - s, f[:, None] - f
    return float((np.maximum(gain, 0) * np.log1p(np.exp(-gap))).sum())


def derivative(loss: Any, f: np.ndarray, s: np.ndarray) -> np.ndarray:
    steps = 1e-5 * np.eye(len(f))
    return np.array([(loss(f + step, s) - loss(f - step, s)) / 2e-5 for step in steps])


@pytest.mark.parametrize(("name", "loss"), [("listwise", listwise), ("expected_score", expected_score)])
def test_slopes_are_the_derivative_of_the_loss(name: Any, loss: Any) -> None:
    f = np.array([[0.3, -1.0, 0.5, 2.0]], dtype=np.float32)
    s = np.array([[1.0, 0.25, np.nan, 0.0]], dtype=np.float32)
    found = _slopes(name, f, s, np.random.default_rng(0))[0]
    seen = np.array([0, 1, 3])
    expected = derivative(loss, f[0, seen].astype(float), s[0, seen].astype(float))
    np.testing.assert_allclose(found[seen], expected, atol=1e-6)
    assert found[2] == 0


def test_pairs_drawn_at_random_are_the_derivative_of_all_pairs_on_average() -> None:
    f = np.array([[0.3, -1.0, 0.5, 2.0]], dtype=np.float32)
    s = np.array([[1.0, 0.25, np.nan, 0.0]], dtype=np.float32)
    rng = np.random.default_rng(0)
    found = np.mean([_slopes("pairwise", f, s, rng)[0] for _ in range(4000)], axis=0)
    seen = np.array([0, 1, 3])
    expected = derivative(pairwise_of_all, f[0, seen].astype(float), s[0, seen].astype(float))
    # A pair is neighbours on a ring of four with probability 2/3, and what is summed is divided by four.
    np.testing.assert_allclose(found[seen], expected * 2 / 3 / 4, atol=0.01)
    assert found[2] == 0


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("embeddings", ["constant", "noise under a strong penalty"])
def test_without_any_signal_the_order_is_that_of_the_train_means(loss: Any, embeddings: str) -> None:
    rng = np.random.default_rng(0)
    dense = rng.random((200, 8)) < np.linspace(0.15, 0.85, 8)
    x = np.ones((200, 3)) if embeddings == "constant" else rng.normal(size=(200, 3))
    train = partition(dense, x)
    said = rv.Ranking(loss, penalty=100.0).fit(train).predict(train.queries).scores
    expected = np.argsort(train.target_means, kind="stable")
    assert (np.argsort(said, axis=1, kind="stable") == expected).all()


def test_the_levels_are_the_log_odds_of_the_means() -> None:
    train = partition([[1, 0], [1, 0], [1, 1], [0, 0]], np.ones((4, 2)))
    said = rv.Ranking().fit(train).predict(train.queries).scores
    np.testing.assert_allclose(said[0], np.log([4 / 2, 2 / 4]), atol=1e-6)  # (3 + 1) : (1 + 1), (1 + 1) : (3 + 1)


@pytest.mark.parametrize("loss", LOSSES)
def test_it_learns_which_model_is_right_where(loss: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    right = x[:, 0] > 0
    train = partition(np.stack([right, ~right, rng.random(300) < 0.6], axis=1), x)
    router = rv.Ranking(loss, penalty=1e-5, learning_rate=0.2)
    chosen = router.fit(train).predict(train.queries).scores.argmax(axis=1)
    assert np.mean(chosen == np.where(right, 0, 1)) > 0.8


@pytest.mark.parametrize("loss", LOSSES)
def test_it_beats_the_best_single_model_where_skills_are_planted(loss: Any) -> None:
    spec = SyntheticSpec("order", prompts=500, models=60, skills=3, dimensions=12, sizes=(5,), specialisation=2, seed=1)
    problem = Synthetic(spec).data.scenario("strong_to_weak", 5)
    assert rv.evaluate(rv.Ranking(loss), problem).mu > rv.evaluate(rv.BestSingle(), problem).mu


@pytest.mark.parametrize("loss", LOSSES)
def test_extreme_tables_are_no_trouble(loss: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 4))
    holes = np.where(rng.random((30, 3)) < 0.4, np.nan, rng.random((30, 3)))
    holes[:, 1] = np.nan
    cases = [(np.zeros((30, 3)), x), (np.ones((30, 3)), x), (rng.random((30, 1)), x), (holes, x)]
    cases += [(np.full((30, 2), np.nan), x), (rng.random((3, 2)), x[:3]), (rng.random((30, 3)), x * 1e18)]
    for dense, embeddings in cases:
        train = partition(dense, embeddings)
        said = rv.Ranking(loss).fit(train).predict(train.queries)
        said.check(*np.shape(dense))
        unseen = np.isnan(train.target_means)
        if unseen.any() and not unseen.all():
            assert (said.scores[:, unseen].max(axis=1) < said.scores[:, ~unseen].min(axis=1)).all()


@pytest.mark.parametrize(
    ("router", "message"),
    [
        (rv.Ranking("best"), "loss = 'best'; expected listwise, expected_score, pairwise"),  # type: ignore[arg-type]
        (rv.Ranking(penalty=-1), "penalty = -1"),
        (rv.Ranking(learning_rate=0), "learning_rate = 0"),
        (rv.Ranking(epochs=0), "epochs = 0"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(router: rv.Ranking, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        router.fit(partition([[1, 0], [0, 1]], np.eye(2)))
