"""Encoders as one asks for them: ``wordllama``, ``hashing:dimensions=64``, ``st:BAAI/bge-small-en-v1.5,keep=first``."""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from routereval.catalogue import Catalogue, unknown_name
from routereval.encoders.contract import Encoder, absent
from routereval.errors import MissingDataError, ParameterError

NONE = "none"
"""What data without embeddings and without texts are encoded by."""

SHIPPED = "shipped"
"""The embeddings that came with the data."""

AUTO = "auto"
"""Shipped where there are any, else the best encoder that needs nothing installed beside the core."""

ENCODERS = Catalogue(
    "encoder",
    {
        "wordllama": "routereval.encoders.wordllama:WordLlama",
        "tfidf_svd": "routereval.encoders.tfidf_svd:TfidfSvd",
        "hashing": "routereval.encoders.hashing:Hashing",
        "minilm": "routereval.encoders.published:MiniLM",
        "sentence_bert": "routereval.encoders.published:SentenceBert",
        "RoBERTa": "routereval.encoders.published:RoBERTa",
        "RoBERTa_last": "routereval.encoders.published:RoBERTaLast",
        "longformer": "routereval.encoders.published:Longformer",
        "st": "routereval.encoders.sentence_transformer:SentenceTransformerEncoder",
        "openai": "routereval.encoders.endpoint:Endpoint",
    },
)

_NUMBERS: dict[Any, type] = {int: int, float: float}


@dataclass(frozen=True)
class EncoderSpec:
    """An encoder as one asks for it.

    Parameters
    ----------
    name : of the catalogue.
    params : values by name, strings still to be read as the parameter's type.
    """

    name: str
    params: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> EncoderSpec:
        """Read ``name`` or ``name:k=v,...``; a first piece without "=" is the model.

        A comma belongs to a value unless a parameter follows it, so a prefix may hold commas.

        Raises
        ------
        ParameterError : a piece that is no parameter, or one given twice.
        """
        name, _, rest = text.partition(":")
        params: dict[str, str] = {}
        for i, piece in enumerate(re.split(r",\s*(?=\w+=)", rest) if rest else []):
            key, equals, value = piece.partition("=")
            if i == 0 and not (equals and key.strip().isidentifier()):
                key, value = "model", piece
            if key.strip() in params:
                raise ParameterError(f"{key.strip()} is given twice in {text!r}")
            params[key.strip()] = value
        return cls(name, params)

    def build(self, protocol: str = "strict") -> Encoder:
        """The encoder; nothing is loaded yet.

        Parameters
        ----------
        protocol : decides which end of a long text is kept, where the parameters do not: the first tokens under
            ``paper``, the last under ``strict``.

        Raises
        ------
        UnknownNameError : no encoder has that name.
        ParameterError : a parameter it does not have, or a value it cannot take.
        """
        if self.name not in ENCODERS:
            raise unknown_name("encoder", self.name, [AUTO, SHIPPED, *ENCODERS])
        cls = ENCODERS[self.name]
        known = {f.name: f for f in dataclasses.fields(cls) if f.init}
        unknown = [key for key in self.params if key not in known]
        if unknown:
            near = difflib.get_close_matches(unknown[0], known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? It takes" if near else "it takes"
            raise ParameterError(f"{self.name} has no parameter {unknown[0]!r}; {hint}: {', '.join(known) or 'none'}")
        hints = typing.get_type_hints(cls)
        params = {key: _read(self.name, key, value, hints[key]) for key, value in self.params.items()}
        if "keep" in known and "keep" not in params:
            params["keep"] = "first" if protocol == "paper" else "last"
        if "model" in known and not params.get("model", known["model"].default):
            raise ParameterError(f"{self.name} needs a model: write {self.name}:model=NAME")
        built: Encoder = cls(**params)
        return built


def name_of(name: str, encoder: Any) -> str:
    """The name under which runs are kept: every parameter that changes the numbers and is not the default.

    Which end is kept is always said where an encoder has a limit, since the default depends on the protocol.
    """
    values = {f.name: (getattr(encoder, f.name), f.default) for f in dataclasses.fields(encoder) if f.init}
    told = [
        f"{key}={_written(value)}"
        for key, (value, default) in values.items()
        if key not in encoder.incidental and (key == "keep" or value != default)
    ]
    return ":".join([name, ",".join(told)]) if told else name


def require(name: str, encoder: Encoder) -> None:
    """Check that what an encoder needs is installed.

    Raises
    ------
    MissingDataError : says which ``pip install`` brings it.
    """
    lacking = absent(type(encoder))
    if lacking:
        raise MissingDataError(
            f"encoder {name!r} needs {' and '.join(lacking)}, not installed here: {encoder.install}; "
            f"without it there are {', '.join(one for one in ENCODERS if not absent(ENCODERS[one]))}"
        )


def best_core() -> str:
    """The encoder that ``auto`` takes for texts without embeddings."""
    return "hashing" if absent(ENCODERS["wordllama"]) else "wordllama"


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(name: str, key: str, value: str, expected: Any) -> Any:
    """A string as the expected type."""
    if typing.get_origin(expected) is typing.Literal:
        allowed = typing.get_args(expected)
        if value not in allowed:
            raise ParameterError(f"{name}: {key} is {value!r}; expected one of {', '.join(allowed)}")
        return value
    if expected is bool:
        if value.lower() not in ("true", "false"):
            raise ParameterError(f"{name}: {key} is {value!r}; expected true or false")
        return value.lower() == "true"
    if expected in _NUMBERS:
        try:
            number = _NUMBERS[expected](value)
        except ValueError:
            raise ParameterError(f"{name}: {key} is {value!r}; expected {expected.__name__}") from None
        if number < 0 or (number == 0 and key in ("dimensions", "buckets", "batch_size")):
            raise ParameterError(f"{name}: {key} is {value!r}; expected a number above 0")
        return number
    return value
