from __future__ import annotations

import copy
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra neural: pip install 'routereval[neural]'")
pytest.importorskip("transformers", reason="needs the extra neural: pip install 'routereval[neural]'")

import torch

import routereval as rv
from routereval import cli, protocols
from routereval.errors import MissingDataError
from routereval.policies import prepared
from routereval.routers.neural import mlc, modules
from routereval.routers.neural.held_out import held_out
from routereval.routers.neural.mlc import cross_entropy
from routereval.routers.neural.pretrained import module_of, pretrained
from routereval.routers.neural.tokens import tokenised


def partition(n: int, texts: list[str] | None = None, *, seed: int = 0) -> rv.Partition:
    """Prompts of one word often enough; model 0 is right on "city", model 1 on all others, model 2 on 30 %."""
    rng = np.random.default_rng(seed)
    words = rng.choice(["what is the city", "when was the sum"], n) if texts is None else np.array(texts)
    city = np.array(["city" in text for text in words])
    scores = np.stack([city, ~city, rng.random(n) < 0.3], axis=1).astype(np.float32)
    ids = tuple(f"p{i}" for i in range(n))
    queries = rv.Queries(ids, texts=list(map(str, words)))
    return rv.Partition(queries, rv.ScoreMatrix.from_dense(scores, ids, tuple("abc")))


def fast(folder: Path, **params: Any) -> rv.MLC:
    return rv.MLC(model=str(folder), **{"epochs": 6, "learning_rate": 2e-3} | params)


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_it_learns_which_model_a_word_asks_for(protocol: str, tiny_roberta: Path) -> None:
    more = {} if protocol == "strict" else {"epochs": 30}
    router = prepared(fast(tiny_roberta, **more), protocols.protocol(protocol), 0)
    test = partition(40, seed=1)
    prediction = router.fit(partition(120), partition(40, seed=2)).predict(test.queries)
    right = np.nan_to_num(test.targets)[np.arange(40), prediction.scores.argmax(axis=1)]
    assert right.mean() == 1


def test_emptied_rows_are_counted_in_the_notes_of_a_run_and_count_nothing_for_the_entropy(
    tiny_roberta: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = partition(4, seed=1)
    pool = rv.CandidatePool(tuple("abc"), "all")
    scenario = rv.Scenario("words/all/3", pool, partition(12), partition(6, seed=3), test)
    logits = np.array([[1.0, 1, -1], [-1, -1, -1], [-1, -2, -3], [2, 2, -1]])
    monkeypatch.setattr(rv.MLC, "_logits", lambda self, module, tokens, index, device: logits[: len(index)].copy())
    result = rv.evaluate(fast(tiny_roberta, epochs=1), scenario, protocol="paper")
    assert any(note.startswith("2 of 4 test prompts have no positive logit") for note in result.notes)
    assert result.metrics["E_p"] == pytest.approx((1 + 0 + 0 + 1) / 4)
    assert result.outcome.choices.tolist() == [0, 0, 0, 0]


def test_the_first_or_the_last_tokens_of_a_long_prompt_are_read(tiny_roberta: Path) -> None:
    encoder = pretrained(str(tiny_roberta), 8)
    text = "what is the sum of two plus who was when how many city prompt"
    whole = tokenised(encoder.tokenizer, [text], 1000, "first").row(0)
    assert len(whole) > 8
    first = tokenised(encoder.tokenizer, [text], encoder.limit, "first")
    last = tokenised(encoder.tokenizer, [text], encoder.limit, "last")
    assert first.row(0).tolist() == [*whole[:7], whole[-1]]
    assert last.row(0).tolist() == [whole[0], *whole[-7:]]
    assert (first.cut, tokenised(encoder.tokenizer, ["city"], 8, "last").cut) == (1, 0)


@pytest.mark.parametrize(("truncation", "gains"), [("first", False), ("last", True)])
def test_a_question_at_the_end_is_only_read_where_the_end_is_kept(
    truncation: str, gains: bool, tiny_roberta: Path
) -> None:
    shots = "who was two plus two when " * 6

    def few_shot(n: int, seed: int) -> rv.Partition:
        return partition(n, [shots + text for text in partition(n, seed=seed).queries.texts or ()])

    router = fast(tiny_roberta, truncation=truncation, max_tokens=16).fit(few_shot(120, 0), few_shot(40, 1))
    test = few_shot(60, 2)
    chosen = router.predict(test.queries).scores.argmax(axis=1)
    right = test.targets[np.arange(60), chosen].mean()
    assert (right == 1) if gains else (right < 0.8)
    assert router.notes_ == (f"mlc read the {truncation} 16 tokens of 120 of 120 training prompts: they have more",)


def test_it_begins_as_best_single_and_stays_there_where_nothing_is_better(tiny_roberta: Path) -> None:
    train = partition(60)
    router = rv.MLC(model=str(tiny_roberta), epochs=1, learning_rate=1e-12).fit(train, partition(30, seed=1))
    scores = router.predict(partition(10, seed=2).queries).scores
    expected = (train.target_means * 60 + 1) / 62
    np.testing.assert_allclose(scores, np.tile(expected, (10, 1)), atol=1e-5)


def test_without_validation_prompts_one_in_five_is_set_aside_and_with_few_nothing_is_learned(
    tiny_roberta: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn, aside = held_out(50, "x")
    assert (len(learn), len(aside)) == (40, 10)
    assert sorted([*learn, *aside]) == list(range(50))
    assert [len(part) for part in held_out(24, "x")] == [0, 24]
    seen: set[int] = set()
    loss = rv.MLC._loss

    def watched(self: rv.MLC, module: Any, tokens: Any, targets: Any, index: Any, device: Any) -> Any:
        seen.update(index.tolist())
        return loss(self, module, tokens, targets, index, device)

    monkeypatch.setattr(rv.MLC, "_loss", watched)
    fast(tiny_roberta, epochs=1).fit(partition(50))
    assert len(seen) == 40
    fast(tiny_roberta, training="published", epochs=1).fit(partition(50))
    assert len(seen) == 50


def test_the_loss_is_the_cross_entropy_of_observed_cells(tiny_roberta: Path) -> None:
    logits, targets = np.array([[0.0, 2.0], [1.0, -1.0]]), np.array([[1, np.nan], [0.5, 0]], dtype=np.float32)
    by_hand = [np.log(2), np.log1p(np.exp(1.0)) - 0.5, np.log1p(np.exp(-1.0))]
    assert cross_entropy(logits, targets) == pytest.approx(np.mean(by_hand))

    router = rv.MLC()
    router.encoder_ = {"pad": 1}
    encoder = pretrained(str(tiny_roberta))
    tokens = tokenised(encoder.tokenizer, ["city", "sum"], 16, "last")
    found = router._loss(
        lambda **given: SimpleNamespace(logits=torch.tensor(logits)),
        tokens,
        targets,
        np.arange(2),
        mlc.find_device("cpu"),
    )  # type: ignore[arg-type]
    assert found.item() == pytest.approx((by_hand[0] + (by_hand[1] + by_hand[2]) / 2) / 2, rel=1e-6)


def test_padding_and_neighbours_change_nothing(tiny_roberta: Path) -> None:
    encoder = pretrained(str(tiny_roberta))
    router = fast(tiny_roberta, training="published", epochs=1).fit(partition(20))
    tokens = tokenised(encoder.tokenizer, ["city", "who was the city when two plus two " * 3, "sum"], 128, "last")
    module = modules.with_arrays(module_of(encoder, "classifier", 3), router.weights_)
    together = router._logits(module, tokens, np.arange(3), mlc.find_device("cpu"))
    alone = [router._logits(module, tokens, np.array([i]), mlc.find_device("cpu"))[0] for i in range(3)]
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)


def test_the_module_is_built_once_and_is_no_part_of_the_router(
    tiny_roberta: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    rebuilt = mlc.rebuilt
    monkeypatch.setattr(mlc, "rebuilt", lambda *given, **more: built.append(1) or rebuilt(*given, **more))
    router = fast(tiny_roberta, epochs=1).fit(partition(30))
    queries = partition(5, seed=4).queries
    first = router.predict(queries).scores
    assert first.tobytes() == router.predict(queries).scores.tobytes()
    assert len(built) == 1
    copied, travelled = copy.deepcopy(router), pickle.loads(pickle.dumps(router))
    assert {first.tobytes()} == {one.predict(queries).scores.tobytes() for one in (copied, travelled)}
    assert len(built) == 3
    kept = len(modules._BUILT)
    del copied, travelled
    assert len(modules._BUILT) == kept - 2
    router.fit(partition(30, seed=7))
    assert router.predict(queries).scores.tobytes() != first.tobytes()


def test_texts_are_needed_to_fit_and_to_predict(tiny_roberta: Path) -> None:
    train = partition(30)
    blind = rv.Queries(train.queries.ids)
    with pytest.raises(MissingDataError, match="mlc needs texts"):
        fast(tiny_roberta).fit(rv.Partition(blind, train.scores))
    with pytest.raises(MissingDataError, match="mlc needs texts"):
        fast(tiny_roberta, epochs=1).fit(train).predict(blind)


def test_the_command_says_where_to_compute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_roberta: Path) -> None:
    monkeypatch.chdir(tmp_path)
    router = f"mlc:model={tiny_roberta},epochs=1"
    words = [
        "routereval",
        "run",
        "demo_math/all_strong/3",
        "--router",
        router,
        "--device",
        "tpu",
        "--results",
        "x.sqlite",
    ]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit):
        cli.main()
    with rv.ResultStore(Path("x.sqlite")) as store:
        (run,) = store.runs()
    assert "device = 'tpu' is not here" in str(run.error)
    assert "device" not in run.spec.params


def test_a_folder_without_weights_is_said(tiny_roberta: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((tiny_roberta / name).read_bytes())
    with pytest.raises(MissingDataError, match="cannot be loaded"):
        fast(tmp_path).fit(partition(30))


def test_other_architectures_do_too(tmp_path: Path, tiny_roberta: Path) -> None:
    from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

    small = {"vocab_size": 400, "pad_token_id": 1}
    bert = BertConfig(
        **small,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
    )
    distil = DistilBertConfig(**small, dim=16, n_layers=1, n_heads=2, hidden_dim=16, max_position_embeddings=64)
    for name, model in (("bert", BertModel(bert)), ("distil", DistilBertModel(distil))):
        model.save_pretrained(tmp_path / name)
        for file in ("tokenizer.json", "tokenizer_config.json"):
            (tmp_path / name / file).write_bytes((tiny_roberta / file).read_bytes())
        encoder = pretrained(str(tmp_path / name))
        assert encoder.limit == 64
        router = fast(tmp_path / name, epochs=12).fit(partition(120), partition(40, seed=2))
        test = partition(40, seed=1)
        right = test.targets[np.arange(40), router.predict(test.queries).scores.argmax(axis=1)]
        assert right.mean() == 1, name
