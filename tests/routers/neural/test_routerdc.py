from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import routereval as rv
from routereval.data.home import home
from routereval.errors import MissingDataError, ParameterError
from routereval.sources.synthetic import Synthetic, SyntheticSpec

pytest.importorskip("torch", reason="needs the extra neural: pip install 'routereval[neural]'")


@pytest.fixture(scope="module")
def problem() -> rv.Scenario:
    spec = SyntheticSpec("contrast", prompts=100, models=50, skills=3, dimensions=6, sizes=(5,), seed=9)
    return Synthetic(spec).data.scenario("strong_to_weak", 5)


@pytest.fixture
def router(tiny_roberta: Path) -> rv.RouterDC:
    return rv.RouterDC(model=str(tiny_roberta), batch=16, steps=4, max_tokens=32)


@pytest.fixture(scope="module")
def tiny_deberta(tiny_roberta: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DeBERTa v2 with two layers of 32, the architecture of the default, with the words of the other tiny model."""
    import shutil

    import torch
    from transformers import DebertaV2Config, DebertaV2Model

    folder = tmp_path_factory.mktemp("tiny") / "deberta"
    config = DebertaV2Config(
        vocab_size=400,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        relative_attention=True,
        position_buckets=16,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        share_att_key=True,
        norm_rel_ebd="layer_norm",
        pad_token_id=1,
        type_vocab_size=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        DebertaV2Model(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_roberta / name, folder / name)
    return folder


def planted(n: int) -> rv.Partition:
    """Two kinds of prompts and two models, each right on one kind."""
    kinds = np.arange(n) % 2
    texts = [
        ("what is the sum of two plus two" if kind else "who was when city") + f" {i}" for i, kind in enumerate(kinds)
    ]
    ids = tuple(map(str, range(n)))
    scores = np.stack([kinds, 1 - kinds], axis=1).astype(np.float32)
    return rv.Partition(rv.Queries(ids, texts=texts), rv.ScoreMatrix.from_dense(scores, ids, ("sums", "cities")))


def test_it_begins_as_the_best_single_model_in_the_mean_over_prompts(problem: rv.Scenario, router: rv.RouterDC) -> None:
    # Too few training prompts to set some aside, so nothing is learned.
    few = problem.train.rows(np.arange(20))
    fitted = router.fit(few)
    scores = fitted.predict(few.queries).scores
    n = len(few)
    smoothed = (few.scores.dense().mean(axis=0) * n + 1) / (n + 2)
    np.testing.assert_allclose(scores.mean(axis=0), np.log(smoothed / (1 - smoothed)), atol=1e-4)


def test_published_scores_are_cosines_over_the_temperature(problem: rv.Scenario, router: rv.RouterDC) -> None:
    published = dataclasses.replace(router, training="published", temperature=0.5)
    prediction = published.fit(problem.train).predict(problem.test.queries)
    assert np.abs(prediction.scores).max() <= 2
    assert not published.levels_.any()
    np.testing.assert_allclose(np.linalg.norm(published.models_, axis=1), 1, rtol=1e-6)
    expected = np.exp(prediction.scores) / np.exp(prediction.scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(prediction.probs, expected)


def test_it_learns_which_kind_of_prompt_a_model_is_right_on(router: rv.RouterDC) -> None:
    train, test = planted(60), planted(10)
    learning = dataclasses.replace(router, steps=100, learning_rate=2e-3, temperature=0.2)
    choices = learning.fit(train).predict(test.queries).scores.argmax(axis=1)
    assert np.array_equal(choices, [1, 0] * 5)


def test_the_architecture_of_the_default_is_learned_and_rebuilt(tiny_deberta: Path, router: rv.RouterDC) -> None:
    train = planted(30)
    fitted = dataclasses.replace(router, model=str(tiny_deberta), training="published").fit(train)
    first = fitted.predict(train.queries).scores
    again = dataclasses.replace(router, model=str(tiny_deberta), training="published").fit(train)
    assert first.tobytes() == again.predict(train.queries).scores.tobytes()
    alone = fitted.predict(train.queries.take(np.array([3]))).scores
    np.testing.assert_allclose(alone[0], first[3], rtol=1e-5, atol=1e-6)


def test_a_fit_that_was_cut_off_carries_on_and_ends_with_the_same_bits(
    router: rv.RouterDC, monkeypatch: pytest.MonkeyPatch
) -> None:
    from routereval.routers.neural.checkpoints import Checkpoint

    train = planted(40)
    whole = dataclasses.replace(router, training="published").fit(train)
    write, written = Checkpoint.write, 0

    def write_until(self: Checkpoint, *given: Any) -> None:
        nonlocal written
        write(self, *given)
        written += 1
        if written == 2:
            raise KeyboardInterrupt

    kept = dataclasses.replace(router, training="published", checkpoint_seconds=0)
    monkeypatch.setattr(Checkpoint, "write", write_until)
    with pytest.raises(KeyboardInterrupt):
        dataclasses.replace(kept).fit(train)
    resumed = dataclasses.replace(kept).fit(train)
    assert written == 6  # two passes of three batches; the two steps that were kept were not made again
    assert resumed.models_.tobytes() == whole.models_.tobytes()
    assert all(values.tobytes() == whole.weights_[name].tobytes() for name, values in resumed.weights_.items())
    assert not list((home() / "checkpoints").glob("routerdc-*"))


def test_prompts_that_are_cut_are_told_of(router: rv.RouterDC) -> None:
    fitted = dataclasses.replace(router, max_tokens=8).fit(planted(20))
    assert fitted.notes_ == ("routerdc read the last 8 tokens of 20 of 20 training prompts: they have more",)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"training": "fast"}, "training = 'fast'; expected published or validated"),
        ({"truncation": "middle"}, "truncation = 'middle'"),
        ({"top_k": 0}, "top_k = 0; it must be at least 1"),
        ({"last_k": 0}, "last_k = 0"),
        ({"negatives": 0}, "negatives = 0"),
        ({"clusters": 0}, "clusters = 0"),
        ({"steps": 0}, "steps = 0"),
        ({"batch": 0}, "batch = 0"),
        ({"weight": -1.0}, "weight = -1.0; it must be 0 or more"),
        ({"temperature": 0.0}, "temperature = 0.0; it must be a number above 0"),
        ({"learning_rate": 0.0}, "learning_rate = 0.0; it must be positive"),
        ({"max_tokens": 7}, "max_tokens = 7; it must be at least 8"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(
    parameters: dict[str, Any], message: str, problem: rv.Scenario, router: rv.RouterDC
) -> None:
    with pytest.raises(ParameterError, match=f"routerdc has {message}"):
        dataclasses.replace(router, **parameters).fit(problem.train)


def test_weights_that_are_nowhere_are_asked_for(monkeypatch: pytest.MonkeyPatch, problem: rv.Scenario) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(MissingDataError, match="hf download microsoft/mdeberta-v3-base"):
        rv.RouterDC().fit(problem.train)
