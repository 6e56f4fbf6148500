"""Attention over models: its formula by hand, what the scores of other models may and may not do."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra neural: pip install 'routereval[neural]'")

import torch

import routereval as rv
from routereval.errors import ParameterError
from routereval.routers.neural.networks import ModelAttention
from routereval.sources.synthetic import Synthetic, SyntheticSpec

SPEC = SyntheticSpec("attention", prompts=200, models=40, skills=3, dimensions=8, sizes=(5,), seed=4)


def quick(**params: Any) -> rv.Attention:
    return rv.Attention(**{"epochs": 8, "factors": 8, "learning_rate": 1e-2} | params)


def with_scores(data: rv.BenchmarkData, dense: np.ndarray[Any, Any]) -> rv.BenchmarkData:
    scores = rv.ScoreMatrix.from_dense(dense, data.scores.prompt_ids, data.scores.model_ids, missing=True)
    return dataclasses.replace(data, scores=scores)


def test_the_logits_are_the_formula() -> None:
    rng = np.random.default_rng(0)
    vectors, levels, x = (rng.standard_normal(shape).astype(np.float32) for shape in ((4, 3), 4, (2, 5)))
    module = ModelAttention(5, vectors, levels, heads=2, dropout=0.5).eval()
    np.testing.assert_allclose(module(torch.from_numpy(x)).detach(), np.tile(levels, (2, 1)), rtol=1e-6)
    with torch.no_grad():
        module.gates.copy_(torch.tensor([0.5, -2.0]))
    weight, bias = module.query.weight.detach().numpy(), module.query.bias.detach().numpy()
    key, value = module.key.weight.detach().numpy(), module.value.weight.detach().numpy()
    wanted = np.zeros((2, 4))
    for i in range(2):
        for head, gate in enumerate((0.5, -2.0)):
            query = weight[3 * head : 3 * head + 3] @ x[i] + bias[3 * head : 3 * head + 3]
            attention = np.exp([query @ (key @ v) / np.sqrt(3) for v in vectors])
            attention /= attention.sum()
            found = query + sum(a * (value @ v) for a, v in zip(attention, vectors, strict=True))
            normal = (found - found.mean()) / np.sqrt(found.var() + 1e-5)
            wanted[i] += gate * (vectors @ normal) / np.sqrt(3)
    np.testing.assert_allclose(module(torch.from_numpy(x)).detach(), levels + wanted, rtol=1e-4, atol=1e-5)


def test_it_learns_from_every_other_model_or_as_many_as_it_is_told() -> None:
    train = Synthetic(SPEC).data.scenario("strong_to_weak", 5).train
    assert quick().fit(train).extra_ == 35
    some = quick(extra=10).fit(train)
    assert some.extra_ == 10
    assert some.weights_["models"].shape == (15, 8)
    assert quick(extra=0).fit(train).extra_ == 0
    assert quick().fit(dataclasses.replace(train, extra=None)).extra_ == 0
    shown = some.predict(train.queries)
    assert shown.scores.shape == (len(train), 5)


def test_without_extra_models_it_is_as_if_there_were_none() -> None:
    train = Synthetic(SPEC).data.scenario("strong_to_weak", 5).train
    alone = quick().fit(dataclasses.replace(train, extra=None)).predict(train.queries).scores
    told = quick(extra=0).fit(train).predict(train.queries).scores
    more = quick().fit(train).predict(train.queries).scores
    assert alone.tobytes() == told.tobytes()
    assert not np.allclose(alone, more)


def test_what_other_models_scored_on_test_and_validation_prompts_changes_nothing() -> None:
    data = Synthetic(SPEC).data
    pool = set(data.pool("strong_to_weak", 5).model_ids)
    outside = np.array([name not in pool for name in data.scores.model_ids])
    flipped = data.scores.dense().copy()
    flipped[data.split.test] = 1 - flipped[data.split.test]
    rows = np.ix_(data.split.val, np.flatnonzero(outside))
    flipped[rows] = 1 - flipped[rows]
    choices = [
        rv.evaluate(quick(), one.scenario("strong_to_weak", 5)).outcome.choices
        for one in (data, with_scores(data, flipped))
    ]
    assert np.array_equal(*choices)
    trained = data.scores.dense().copy()
    trained[data.split.train] = 1 - trained[data.split.train]
    other = rv.evaluate(quick(), with_scores(data, trained).scenario("strong_to_weak", 5)).outcome.choices
    assert not np.array_equal(choices[0], other)  # flipping what it does learn from is seen


def test_graded_scores_with_holes_in_the_other_models_can_be_learned_from() -> None:
    spec = dataclasses.replace(SPEC, graded=True)
    data = Synthetic(spec).data
    dense = data.scores.dense().copy()
    dense[np.random.default_rng(0).random(dense.shape) < 0.5] = np.nan
    dense[:, 3] = np.nan
    train = with_scores(data, dense).scenario("all_strong", 5).train
    router = quick().fit(train)
    assert router.extra_ == 35 - (data.scores.model_ids[3] not in train.model_ids)
    assert np.isfinite(router.predict(train.queries).scores).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"extra": -1}, "extra = -1; it must be at least 0"),
        ({"heads": 0}, "heads = 0; it must be at least 1"),
        ({"share": 1.0}, "share = 1.0; it must be 0 or more and below 1"),
        ({"dropout": -0.1}, "dropout = -0.1"),
        ({"batch": 0}, "batch = 0; it must be at least 1"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(params: dict[str, Any], message: str) -> None:
    train = Synthetic(SPEC).data.scenario("strong_to_weak", 5).train
    with pytest.raises(ParameterError, match=f"attention has {message}"):
        rv.Attention(**params).fit(train)
