"""What mlc makes of its parameters and of logits: no PyTorch is needed for that."""

from __future__ import annotations

import numpy as np

import routereval as rv
from routereval import protocols
from routereval.policies import describe, on_device, prepared
from routereval.routers.neural.mlc import clipped


def test_the_protocol_fills_in_what_is_left_to_it() -> None:
    paper, strict = (prepared(rv.MLC(), rules, 3) for rules in (protocols.PAPER, protocols.STRICT))
    assert (paper.training, paper.head, paper.truncation) == ("published", "clipped", "first")
    assert (strict.training, strict.head, strict.truncation) == ("validated", "sigmoid", "last")
    own = prepared(rv.MLC(head="sigmoid"), protocols.PAPER, 3)
    assert (own.training, own.head, own.seed) == ("published", "sigmoid", 3)
    settings = paper._settings()
    assert (settings.epochs, settings.batch, settings.learning_rate) == (10, 10, 5e-5)
    assert (settings.warmup, settings.weight_decay, settings.patience) == (500, 0.01, 0)


def test_where_it_computes_is_no_part_of_what_identifies_a_run() -> None:
    assert describe(rv.MLC(device="cpu", checkpoint_seconds=5)) == describe(rv.MLC())
    assert on_device(rv.MLC(), "cuda:1").device == "cuda:1"
    assert on_device(rv.MLC(device="cpu"), "cuda").device == "cpu"
    assert on_device(rv.KNN(), "cuda") == rv.KNN()


def test_logits_are_clipped_and_normalised_and_emptied_rows_go_to_the_first() -> None:
    logits = np.array([[1.0, 3.0, -2.0], [-1.0, -2.0, -3.0], [0.0, -1.0, 2.0]])
    prediction = clipped(logits, np.zeros(3, dtype=bool))
    np.testing.assert_allclose(prediction.probs, [[0.25, 0.75, 0], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(prediction.scores, [[1, 3, 0], [0, 0, 0], [0, 0, 2]])
    assert len(prediction.notes) == 1
    assert prediction.notes[0].startswith("1 of 3 test prompts have no positive logit")
    assert clipped(np.abs(logits) + 1, np.zeros(3, dtype=bool)).notes == ()
    unseen = clipped(logits, np.array([True, False, False]))
    assert unseen.scores.argmax(axis=1).tolist() == [1, 1, 2]
    np.testing.assert_allclose(unseen.probs, [[0, 1, 0], [0, 1, 0], [0, 0, 1]])
