from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra neural: pip install 'routereval[neural]'")

from routereval.routers.neural.message_passing import Convolution, GraphNet, edges_of  # noqa: E402

NAN = math.nan


def test_edges_are_shares_of_a_nodes_edges_and_scores_less_the_models_mean() -> None:
    # Three prompts and two models; the second model was observed on the first prompt alone.
    edges = edges_of(torch.tensor([[1.0, 0.5], [0.0, NAN], [NAN, NAN]]))
    np.testing.assert_allclose(edges.to_models, [[0.5, 0.5, 0], [1, 0, 0]])
    np.testing.assert_allclose(edges.scores_to_models, [[0.25, -0.25, 0], [0, 0, 0]])
    np.testing.assert_allclose(edges.to_prompts, [[0.5, 0.5], [1, 0], [0, 0]])
    np.testing.assert_allclose(edges.scores_to_prompts, [[0.25, 0], [-0.5, 0], [0, 0]])


def test_a_convolution_adds_up_what_its_formula_says() -> None:
    layer = Convolution(1)
    with torch.no_grad():
        for part, value in ((layer.own, 2), (layer.heard, 3), (layer.weighed, 5), (layer.edge, 7)):
            part.weight.fill_(value)
        layer.own.bias.fill_(1)
        # One node of 10; it hears of 1 with score 0.5 and of 2 with score 0, each one of two.
        out = layer(
            torch.tensor([[10.0]]), torch.tensor([[1.0], [2.0]]), torch.full((1, 2), 0.5), torch.tensor([[0.25, 0.0]])
        )
    assert float(out) == 2 * 10 + 1 + 3 * 1.5 + 5 * 0.25 + 7 * 0.25


def test_the_network_begins_by_saying_nothing() -> None:
    module = GraphNet(3, 1, 2, 4)
    with torch.no_grad():
        targets = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        states = module(torch.rand(2, 3), torch.zeros(2, 3), edges_of(targets), torch.zeros(2, 1), torch.ones(2, 1))
    assert states.shape == (2, 8)
    assert not states.any()
