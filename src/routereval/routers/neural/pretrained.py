"""A pretrained encoder: its configuration and tokenizer as text, its weights as a module."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from routereval.errors import MissingDataError
from routereval.routers.neural.modules import with_arrays
from routereval.routers.neural.weights import folder_of

if TYPE_CHECKING:
    import torch

Kind = Literal["encoder", "classifier"]
"""``encoder``: hidden states of all tokens; ``classifier``: the architecture's own head for classifying texts."""


@dataclass(frozen=True)
class Pretrained:
    """All there is to an encoder but its weights; :meth:`state` is what a router keeps of it.

    Parameters
    ----------
    folder : where its weights are.
    config : its ``config.json``, as text.
    tokenizer : its ``tokenizer.json``, as text.
    pad : the number of the padding token.
    limit : how many tokens of a text it reads, special ones included.
    """

    folder: Path
    config: str
    tokenizer: str
    pad: int
    limit: int

    @property
    def state(self) -> dict[str, Any]:
        """Configuration, tokenizer, padding and limit, as a saved router may have them."""
        return {"config": self.config, "tokenizer": self.tokenizer, "pad": self.pad, "limit": self.limit}


def pretrained(model: str, max_tokens: int = 0) -> Pretrained:
    """An encoder of Hugging Face by folder, name, or ``minilm``.

    Parameters
    ----------
    max_tokens : reads this many tokens, if it can read so many; 0: as many as it can, at most 512.

    Raises
    ------
    MissingDataError : it is not there, or what is there cannot be read.
    """
    folder = folder_of(model)
    with _quiet(), _blamed_on(model):
        from transformers import AutoConfig, AutoTokenizer

        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        if getattr(tokenizer, "backend_tokenizer", None) is None:
            raise ValueError("it has no fast tokenizer (tokenizer.json)")
        text = tokenizer.backend_tokenizer.to_str()
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    limit = min(_positions(config), tokenizer.model_max_length, max_tokens or 512)
    return Pretrained(folder, config.to_json_string(use_diff=False), text, int(pad), int(limit))


def module_of(one: Pretrained, kind: Kind, outputs: int = 0, *, layers: bool = False) -> torch.nn.Module:
    """The encoder with its pretrained weights; what its architecture adds to them is drawn from PyTorch's generator.

    Parameters
    ----------
    outputs : of a classifier: how many logits.
    layers : the hidden states of every layer are in its output.

    Raises
    ------
    MissingDataError : the weights cannot be read.
    """
    import torch

    with _quiet(), _blamed_on(str(one.folder)):
        options: dict[str, Any] = {"output_hidden_states": True} if layers else {}
        if kind == "classifier":
            options |= {"num_labels": outputs, "problem_type": "multi_label_classification"}
        module = _class(kind).from_pretrained(one.folder, local_files_only=True, dtype=torch.float32, **options)
    made: torch.nn.Module = module
    return made


def rebuilt(
    config: str, kind: Kind, arrays: Mapping[str, NDArray[Any]], outputs: int = 0, *, layers: bool = False
) -> torch.nn.Module:
    """The module a router learned, out of the text of its configuration and its arrays; no file is read."""
    import json

    import torch
    from transformers import AutoConfig

    values = json.loads(config)
    with _quiet():
        parsed = AutoConfig.for_model(values.pop("model_type"), **values)
        parsed.output_hidden_states = layers
        if kind == "classifier":
            parsed.num_labels, parsed.problem_type = outputs, "multi_label_classification"
        with torch.random.fork_rng(devices=[]):  # initial weights, overwritten at once
            module: torch.nn.Module = _class(kind).from_config(parsed, dtype=torch.float32)
    return with_arrays(module, arrays)


def last_layer(classifier: torch.nn.Module, outputs: int) -> torch.nn.Linear:
    """The layer that makes a classifier's logits."""
    import torch

    linear = [part for part in classifier.modules() if isinstance(part, torch.nn.Linear)]
    return [part for part in linear if part.out_features == outputs][-1]


def mean_of_tokens(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean of a text's tokens, padding left out: (b, length, d) and (b, length) to (b, d)."""
    weights = mask.to(hidden.dtype).unsqueeze(-1)
    mean: torch.Tensor = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)
    return mean


def _class(kind: Kind) -> Any:
    from transformers import AutoModel, AutoModelForSequenceClassification

    return AutoModel if kind == "encoder" else AutoModelForSequenceClassification


def _positions(config: Any) -> int:
    """How many tokens there are positions for; RoBERTa's begin after the padding token's number."""
    positions = int(getattr(config, "max_position_embeddings", 0) or 0)
    if positions <= 0 or getattr(config, "position_embedding_type", "absolute") != "absolute":
        return int(np.iinfo(np.int32).max)
    offset = config.model_type in ("roberta", "xlm-roberta", "camembert", "longformer", "mpnet", "data2vec-text")
    return positions - (int(config.pad_token_id or 0) + 1 if offset else 0)


@contextmanager
def _quiet() -> Iterator[None]:
    """Transformers without its bars, and without being told that the head is new: it is, that is the point."""
    from transformers.utils import logging as theirs

    level, bars = theirs.get_verbosity(), theirs.is_progress_bar_enabled()
    theirs.set_verbosity(logging.CRITICAL)
    theirs.disable_progress_bar()
    try:
        yield
    finally:
        theirs.set_verbosity(level)
        if bars:
            theirs.enable_progress_bar()


@contextmanager
def _blamed_on(model: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        line = str(error).strip().partition("\n")[0]
        raise MissingDataError(f"{model} cannot be loaded: {type(error).__name__}: {line}") from error
