"""Any sentence-transformers model, or plain transformer with a pooling, by name or from a folder; needs PyTorch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from routereval.encoders.contract import Encoder, Keep
from routereval.errors import MissingDataError, ParameterError

EXTRA = "pip install 'routereval[encoders]'"

Pooling = Literal["model", "mean", "cls", "max", "lasttoken"]


@dataclass(frozen=True)
class SentenceTransformerEncoder(Encoder):
    """A sentence-transformers model, or any transformer with a pooling; by its name on Hugging Face or from a folder.

    It knows what its training taught it, and reads as many tokens of a text as it was made for.

    Parameters
    ----------
    model : name on Hugging Face, or a folder.
    pooling : how tokens become one embedding; ``model``: as the model says (mean, where it says nothing).
    keep : which tokens of a text that is too long are read.
    prompt : put before every text, where the model expects that: ``"query: "``.
    max_tokens : reads this many, special ones included; 0: as the model says.
    normalize : rows of length one, whether the model makes them so or not.
    fp16 : half precision.
    at : a branch, tag or commit on Hugging Face; the newest (or the one on disk) where empty.
    batch_size, device : how fast it is; the device is chosen by PyTorch where empty.
    """

    requires: ClassVar[tuple[str, ...]] = ("sentence_transformers",)
    install: ClassVar[str] = EXTRA

    model: str = ""
    pooling: Pooling = "model"
    keep: Keep = "last"
    prompt: str = ""
    max_tokens: int = 0
    normalize: bool = False
    fp16: bool = False
    at: str = ""
    batch_size: int = 32
    device: str = ""

    @property
    def place(self) -> str:
        """The folder or the name on Hugging Face that is loaded."""
        return self.model

    @property
    def revision(self) -> str:
        """The commit on Hugging Face, or the sha256 of a folder's files."""
        folder = Path(self.place).expanduser()
        return _hash_of_folder(folder) if folder.is_dir() else _commit(self.place, self.at or "main")

    @property
    def limit(self) -> str:
        """How many tokens it reads, for people."""
        tokens = self._loaded().max_seq_length
        return f"{tokens} tokens" if tokens else ""

    def shorten(self, texts: Sequence[str]) -> tuple[list[str], NDArray[np.bool_]]:
        """The texts, those too long cut to their last tokens where these are kept, and which are too long."""
        loaded = self._loaded()
        if not loaded.max_seq_length:
            return super().shorten(texts)
        tokenizer = loaded.tokenizer
        room = loaded.max_seq_length - tokenizer.num_special_tokens_to_add()
        if self.prompt:
            room -= len(_tokens(tokenizer, [self.prompt])["input_ids"][0])
        if room < 1:
            raise ParameterError(f"the prompt leaves no room for a text: {self.place} reads {self.limit}")
        tokens = _tokens(tokenizer, texts, return_offsets_mapping=self.keep == "last")
        cut = np.array([len(ids) > room for ids in tokens["input_ids"]], dtype=np.bool_)
        if self.keep == "first":
            # The model itself stops there.
            return list(texts), cut
        read = [
            _tail(tokenizer, text, offsets, room) if too_long else text
            for text, offsets, too_long in zip(texts, tokens["offset_mapping"], cut, strict=True)
        ]
        return read, cut

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings (n, d) float32; of a text that is too long, its first tokens are read."""
        vectors = self._loaded().encode(
            list(texts),
            prompt=self.prompt or None,
            batch_size=self.batch_size,
            normalize_embeddings=self.normalize,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return np.asarray(vectors, dtype=np.float32)

    def _loaded(self) -> Any:
        folder = Path(self.place).expanduser()
        place, commit = (str(folder), None) if folder.is_dir() else (self.place, self.revision)
        return _load(place, commit, self.pooling, self.max_tokens, self.fp16, self.device)


@lru_cache(maxsize=1)
def _load(place: str, commit: str | None, pooling: str, max_tokens: int, fp16: bool, device: str) -> Any:
    from sentence_transformers import SentenceTransformer

    try:
        if pooling == "model":
            model = SentenceTransformer(place, revision=commit, device=device or None)
        else:
            model = SentenceTransformer(modules=_modules(place, commit, pooling), device=device or None)
    except (OSError, ValueError, RuntimeError) as error:
        raise MissingDataError(f"{place} cannot be loaded: {type(error).__name__}: {_first_line(error)}") from error
    if max_tokens:
        model.max_seq_length = max_tokens
    return model.half() if fp16 else model


def _modules(place: str, commit: str | None, pooling: str) -> list[Any]:
    """The transformer alone, whatever else its folder says, and this pooling of its tokens."""
    try:
        from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    except ImportError:  # before version 6
        from sentence_transformers.models import Pooling, Transformer
    options = {"revision": commit} if commit else {}
    transformer = Transformer(place, model_kwargs=dict(options), config_kwargs=dict(options))
    return [transformer, Pooling(transformer.model.config.hidden_size, pooling_mode=pooling)]


def _tokens(tokenizer: Any, texts: Sequence[str], **options: Any) -> Any:
    # verbose=False: that they are longer than the model reads is what is asked here, no warning is due.
    return tokenizer(list(texts), add_special_tokens=False, truncation=False, verbose=False, **options)


def _tail(tokenizer: Any, text: str, offsets: Sequence[tuple[int, int]], room: int) -> str:
    """The end of a text that has at most so many tokens."""
    for first in range(len(offsets) - room, len(offsets)):
        tail = text[offsets[first][0] :]
        # Cut within a word, what is left may fall into more pieces than before.
        if len(_tokens(tokenizer, [tail])["input_ids"][0]) <= room:
            return tail
    return ""


@cache
def _hash_of_folder(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


@cache
def _commit(name: str, wanted: str) -> str:
    """The commit that a branch or tag stands for: as on disk, else as Hugging Face says."""
    if re.fullmatch(r"[0-9a-f]{40}", wanted):
        return wanted
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        known = try_to_load_from_cache(name, "config.json", revision=wanted)
        if isinstance(known, str):
            # .../snapshots/<commit>/config.json
            return Path(known).parent.name
        return str(HfApi().model_info(name, revision=wanted).sha)
    except HFValidationError as error:
        raise MissingDataError(
            f"{name!r} is no folder here and no name on Hugging Face: {_first_line(error)}"
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise MissingDataError(
            f"{name!r} is no folder here, and not found on Hugging Face: {_first_line(error)}; check its name, "
            "or give a folder that holds the model"
        ) from error
    except Exception as error:  # the HTTP library of huggingface_hub, whichever it is, has errors of its own
        raise MissingDataError(f"Hugging Face cannot be asked for {name!r}: {type(error).__name__}: {error}") from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
