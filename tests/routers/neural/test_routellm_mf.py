"""Pairs of models by who wins, worked out by hand; what is learned of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra neural: pip install 'routereval[neural]'")

import torch

import routereval as rv
from routereval.errors import ParameterError
from routereval.routers.neural.networks import Bilinear
from routereval.routers.neural.routellm_mf import pair_loss

NAN = math.nan


def crossed(n: int, models: int = 3, *, seed: int = 0) -> rv.Partition:
    """Model 0 is right where the first coordinate is positive, model 1 elsewhere, the others on 30 %."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 6)).astype(np.float32)
    right = x[:, 0] > 0
    scores = np.stack([right, ~right, *(rng.random((models - 2, n)) < 0.3)], axis=1).astype(np.float32)
    ids = tuple(f"p{i}" for i in range(n))
    return rv.Partition(
        rv.Queries(ids, x), rv.ScoreMatrix.from_dense(scores, ids, tuple(f"m{i}" for i in range(models)))
    )


def test_only_pairs_with_different_observed_scores_count() -> None:
    deltas = torch.tensor([[0.0, 1.0, 3.0], [2.0, 0.0, 1.0]])
    targets = torch.tensor([[1.0, 1.0, 0.0], [0.5, 0.25, NAN]])
    first, second = torch.tensor([0, 0, 1]), torch.tensor([1, 2, 2])
    # First prompt: 0 and 1 each beat 2, by deltas -3 and -2; second: 0 beats 1 by 2. Nothing else is decided.
    by_hand = [math.log1p(math.exp(3)), math.log1p(math.exp(2)), math.log1p(math.exp(-2))]
    assert float(pair_loss(deltas, targets, (first, second))) == pytest.approx(np.mean(by_hand), rel=1e-6)
    assert float(pair_loss(deltas, torch.ones(2, 3), (first, second))) == 0


def test_the_strength_of_a_model_is_the_published_formula() -> None:
    module = Bilinear(2, 3, np.float32([0, 0]), levelled=False, noise=0.05).eval()
    with torch.no_grad():
        module.models.copy_(torch.tensor([[3.0, 0, 4], [0, 2, 0]]))
        module.map.weight.copy_(torch.tensor([[1.0, 0], [0, 1], [1, 1]]))
        module.weights.copy_(torch.tensor([1.0, 2, 3]))
    # W x = (2, 1, 3); directions (0.6, 0, 0.8) and (0, 1, 0).
    strengths = module(torch.tensor([[2.0, 1.0]])).detach().numpy()
    np.testing.assert_allclose(strengths, [[0.6 * 2 * 1 + 0.8 * 3 * 3, 1 * 1 * 2]], rtol=1e-6)


@pytest.mark.parametrize("levels", [True, False])
@pytest.mark.parametrize("models", [3, 60])
def test_it_learns_who_wins_where(models: int, levels: bool) -> None:
    router = rv.RouteLLM(levels=levels, learning_rate=1e-2).fit(crossed(300, models), crossed(60, models, seed=1))
    test = crossed(200, models, seed=2)
    prediction = router.predict(test.queries)
    right = test.targets[np.arange(200), prediction.scores.argmax(axis=1)]
    assert right.mean() > 0.9
    odds = prediction.probs[:, 0] / prediction.probs[:, 1]
    np.testing.assert_allclose(np.log(odds), prediction.scores[:, 0] - prediction.scores[:, 1], atol=1e-5)


def test_where_embeddings_say_nothing_it_is_best_single() -> None:
    part = crossed(200)
    rng = np.random.default_rng(3)
    noise = rv.Queries(part.queries.ids, rng.standard_normal((200, 6)).astype(np.float32))
    scores = rv.ScoreMatrix.from_dense(
        (rng.random((200, 3)) < [0.2, 0.8, 0.5]).astype(np.float32), part.queries.ids, part.model_ids
    )
    router = rv.RouteLLM().fit(rv.Partition(noise, scores))
    assert (router.predict(noise).scores.argmax(axis=1) == 1).all()


def test_of_too_few_prompts_it_learns_the_means_alone() -> None:
    part = crossed(10)
    prediction = rv.RouteLLM().fit(part).predict(part.queries)
    mean = (part.scores.model_means * 10 + 1) / 12
    np.testing.assert_allclose(prediction.scores, np.tile(np.log(mean / (1 - mean)), (10, 1)), rtol=1e-5)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"factors": 0}, "factors = 0; it must be at least 1"),
        ({"noise": -1.0}, "noise = -1.0; it must be 0 or more"),
        ({"learning_rate": 0.0}, "learning_rate = 0.0; it must be positive"),
        ({"epochs": 0}, "epochs = 0; it must be at least 1"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=f"routellm_mf has {message}"):
        rv.RouteLLM(**params).fit(crossed(30))
