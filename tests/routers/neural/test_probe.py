"""Hidden states as the network itself has them, computed once; a head on them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra neural: pip install 'routereval[neural]'")
pytest.importorskip("transformers", reason="needs the extra neural: pip install 'routereval[neural]'")

import torch

import routereval as rv
from routereval.errors import MissingDataError, ParameterError
from routereval.routers.neural import hidden_states as states_module
from routereval.routers.neural.devices import Device
from routereval.routers.neural.hidden_states import hidden_states, pooled, revision
from routereval.routers.neural.pretrained import module_of, pretrained

TEXTS = ["what is the city", "when was the sum of two plus two", "who", ""]


@pytest.fixture
def network(tiny_roberta: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the tiny network, with an empty cache."""
    monkeypatch.setenv("ROUTEREVAL_HOME", str(tmp_path / "home"))
    return Path(shutil.copytree(tiny_roberta, tmp_path / "network"))


def states_of(folder: Path, texts: list[str], **params: Any) -> np.ndarray[Any, Any]:
    how: dict[str, Any] = {"name": "tiny", "layer": -1, "pooling": "mean", "truncation": "last"} | params
    return hidden_states(pretrained(str(folder), 64), texts, device=Device("cpu"), **how)[0]


def partition(n: int, seed: int = 0) -> rv.Partition:
    """Model 0 is right on "city", model 1 on the others, model 2 on 30 %."""
    rng = np.random.default_rng(seed)
    words = rng.choice(["what is the city", "when was the sum"], n)
    city = np.array(["city" in text for text in words])
    scores = np.stack([city, ~city, rng.random(n) < 0.3], axis=1).astype(np.float32)
    ids = tuple(f"p{i}" for i in range(n))
    return rv.Partition(
        rv.Queries(ids, texts=list(map(str, words))), rv.ScoreMatrix.from_dense(scores, ids, ("a", "b", "c"))
    )


def test_pooling_by_hand() -> None:
    states = torch.tensor([[[1.0, 5], [3, 1], [9, 9]], [[2, 2], [4, 0], [6, 7]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    for pooling, by_hand in (
        ("mean", [[2, 3], [4, 3]]),
        ("last", [[3, 1], [6, 7]]),
        ("cls", [[1, 5], [2, 2]]),
        ("max", [[3, 5], [6, 7]]),
    ):
        assert pooled(states, mask, pooling).tolist() == by_hand


@pytest.mark.parametrize("layer", [0, 1, 2, -1, -2])
def test_they_are_the_networks_own_whatever_is_in_the_batch(layer: int, network: Path) -> None:
    from transformers import AutoTokenizer

    one = pretrained(str(network), 64)
    module = module_of(one, "encoder", layers=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(network)
    found = states_of(network, TEXTS, layer=layer)
    for text, vector in zip(TEXTS, found, strict=True):
        with torch.no_grad():
            states = module(**tokenizer(text, return_tensors="pt")).hidden_states[layer]
        np.testing.assert_allclose(vector, states[0].mean(0), rtol=1e-4, atol=1e-5)


def test_each_text_is_computed_once(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = states_of(network, TEXTS)
    loaded = []
    monkeypatch.setattr(states_module, "module_of", lambda *_, **__: loaded.append(1) or pytest.fail("computed again"))
    again = states_of(network, [*TEXTS[::-1], "who"])
    assert again.tobytes() == first[[3, 2, 1, 0, 2]].tobytes()
    monkeypatch.setattr(states_module, "module_of", lambda *a, **k: loaded.append(1) or module_of(*a, **k))
    states_of(network, [*TEXTS, "how many"])
    assert len(loaded) == 1
    for change in ({"layer": 1}, {"pooling": "max"}, {"truncation": "first"}):
        loaded.clear()
        states_of(network, TEXTS, **change)
        assert loaded == [1], change


def test_other_weights_under_the_same_name_are_another_network(network: Path) -> None:
    router = rv.Probe(model=str(network), epochs=5).fit(partition(40))
    before, was = states_of(network, TEXTS), revision(network)
    one = module_of(pretrained(str(network), 64), "encoder")
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    one.save_pretrained(network)
    assert revision(network) != was
    assert not np.allclose(states_of(network, TEXTS), before)
    with pytest.raises(MissingDataError, match="has other weights than when this probe was fitted; fit it again"):
        router.predict(partition(5).queries)


@pytest.mark.parametrize("hidden", [0, 16])
@pytest.mark.parametrize("pooling", ["mean", "last", "max"])
def test_it_learns_which_model_a_word_asks_for(pooling: Any, hidden: int, network: Path) -> None:
    router = rv.Probe(model=str(network), pooling=pooling, hidden=hidden, learning_rate=0.02)
    test = partition(40, seed=1)
    prediction = router.fit(partition(120), partition(40, seed=2)).predict(test.queries)
    assert test.targets[np.arange(40), prediction.scores.argmax(axis=1)].mean() == 1


def test_a_decoder_has_hidden_states_too(network: Path, tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2Model

    folder = tmp_path / "gpt"
    shutil.copytree(network, folder, ignore=shutil.ignore_patterns("config.json", "*.safetensors"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = GPT2Config(
            vocab_size=400, n_positions=64, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=2
        )
        GPT2Model(config).save_pretrained(folder)
    together = states_of(folder, TEXTS, pooling="last")
    alone = [states_of(folder, [text], pooling="last", layer=2)[0] for text in TEXTS]
    np.testing.assert_allclose(together, np.stack(alone), rtol=1e-4, atol=1e-5)  # padding has no say
    router = rv.Probe(model=str(folder), pooling="last", learning_rate=0.02).fit(partition(120), partition(40, seed=2))
    scores = router.predict(partition(40, seed=1).queries).scores
    assert np.isfinite(scores).all()


def test_prompts_that_are_too_long_are_noted(network: Path) -> None:
    part = partition(30)
    texts = ["what is the sum of two plus two " * 5, *part.queries.texts[1:]]
    long = rv.Partition(rv.Queries(part.queries.ids, texts=texts), part.scores)
    router = rv.Probe(model=str(network), max_tokens=16).fit(long)
    assert router.notes_ == ("probe read the last 16 tokens of 1 of 30 training prompts: they have more",)
    assert rv.Probe(model=str(network)).fit(part).notes_ == ()
    first, last = (states_of_long(network, texts[0], truncation) for truncation in ("first", "last"))
    assert not np.allclose(first, last)


def states_of_long(folder: Path, text: str, truncation: Any) -> np.ndarray[Any, Any]:
    one = pretrained(str(folder), 16)
    device = Device("cpu")
    return hidden_states(one, [text], name="tiny", layer=-1, pooling="mean", truncation=truncation, device=device)[0]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"layer": 3}, r"layer = 3; .* has layers 0 to 2, or -1 to -3"),
        ({"layer": -4}, r"layer = -4"),
        ({"pooling": "sum"}, r"pooling = 'sum'; expected mean or last or cls or max"),
        ({"hidden": -1}, r"hidden = -1; it must be at least 0"),
        ({"max_tokens": 4}, r"max_tokens = 4; it must be at least 8"),
        ({"truncation": "middle"}, r"truncation = 'middle'; expected first or last"),
        ({"epochs": 0}, r"epochs = 0"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(params: dict[str, Any], message: str, network: Path) -> None:
    with pytest.raises(ParameterError, match=f"probe has {message}"):
        rv.Probe(model=str(network), **params).fit(partition(30))
