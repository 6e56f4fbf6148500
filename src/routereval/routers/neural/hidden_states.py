"""What a pretrained network makes of a text at one of its layers: computed once per text, kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from routereval.data.embedding_cache import EmbeddingCache, hash_of
from routereval.errors import ParameterError
from routereval.routers.neural.batching import Indices, padded, sorted_batches
from routereval.routers.neural.determinism import deterministic
from routereval.routers.neural.devices import Device
from routereval.routers.neural.memory import in_parts
from routereval.routers.neural.pretrained import Pretrained, mean_of_tokens, module_of
from routereval.routers.neural.tokens import tokenised

if TYPE_CHECKING:
    import torch

Pooling = Literal["mean", "last", "cls", "max"]
"""How the tokens of a text become one vector: their mean, the last one, the first one, the largest of each entry."""

_TOGETHER = 32
_KEPT = 16
"""Batches that are written to the cache together."""


def hidden_states(
    network: Pretrained,
    texts: Sequence[str],
    *,
    name: str,
    layer: int,
    pooling: Pooling,
    truncation: Literal["first", "last"],
    device: Device,
) -> tuple[NDArray[np.float32], int]:
    """One vector per text, and how many texts were longer than the network reads.

    Each is found again by the network's weights, layer, pooling, truncation, precision and the text. What is not known
    is computed, the longest first, and kept a few batches at a time.

    Parameters
    ----------
    name : of the network, for people.
    layer : 0 the embeddings of the tokens, 1 the first layer, -1 the last.

    Returns
    -------
    (n, d) float32.

    Raises
    ------
    ParameterError : there is no such layer.
    DataError : the cache cannot be written, or a hidden state is not finite.
    """
    key = (revision(network.folder), str(layer), pooling, truncation, str(network.limit), device.half)
    where = f"layer {layer}" if layer >= 0 else f"layer minus {-layer}"
    cache = EmbeddingCache(f"{name} {where} {pooling}", ("hidden states", *key))
    hashes = [hash_of(text) for text in texts]
    known = cache.get(list(dict.fromkeys(hashes)))
    new = {h: text for h, text in zip(hashes, texts, strict=True) if h not in known}
    if new:
        known |= _computed(
            network, new, cache, name=name, layer=layer, pooling=pooling, truncation=truncation, device=device
        )
    if not hashes:
        return np.zeros((0, 1), dtype=np.float32), 0
    return np.stack([known[h][0] for h in hashes]), sum(known[h][1] for h in hashes)


def _computed(
    network: Pretrained,
    texts: Mapping[bytes, str],
    cache: EmbeddingCache,
    *,
    name: str,
    layer: int,
    pooling: Pooling,
    truncation: Literal["first", "last"],
    device: Device,
) -> dict[bytes, tuple[NDArray[np.float32], bool]]:
    """Vectors of texts, and whether each was cut, by hash as the texts are; kept in the cache as they come."""
    order, pending = list(texts), [_sayable(text) for text in texts.values()]
    tokens = tokenised(network.tokenizer, pending, network.limit, truncation)
    whole = tokenised(network.tokenizer, pending, network.limit + 1, truncation).lengths > network.limit
    with deterministic("hidden states"):
        module = module_of(network, "encoder", layers=True).to(device.name).eval()

    def one(part: Indices) -> NDArray[np.float32]:
        """The states of these prompts."""
        import torch

        ids, mask = padded(tokens, part, network.pad, device.name)
        with torch.no_grad(), device.autocast():
            states = module(input_ids=ids, attention_mask=mask).hidden_states
        if not -len(states) <= layer < len(states):
            last = len(states) - 1
            raise ParameterError(f"probe has layer = {layer}; {name} has layers 0 to {last}, or -1 to -{last + 1}")
        return np.asarray(pooled(states[layer].float(), mask, pooling).cpu().numpy(), dtype=np.float32)

    computed: dict[bytes, tuple[NDArray[np.float32], bool]] = {}
    batches = sorted_batches(tokens.lengths, _TOGETHER)
    for start in range(0, len(batches), _KEPT):
        for part, vectors in in_parts(batches[start : start + _KEPT], one):
            found = [order[i] for i in part]
            cache.put(found, vectors, whole[part], f"{network.limit} tokens")
            computed |= {h: (v, bool(c)) for h, v, c in zip(found, vectors, whole[part], strict=True)}
    return computed


def pooled(states: torch.Tensor, mask: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """Hidden states (b, length, d) of tokens, padded to the right by a mask (b, length), as (b, d)."""
    import torch

    if pooling == "mean":
        return mean_of_tokens(states, mask)
    if pooling == "max":
        return states.masked_fill(mask.unsqueeze(-1) == 0, -torch.inf).amax(1).nan_to_num(neginf=0.0)
    at = (mask.sum(1) - 1).clamp(min=0) if pooling == "last" else torch.zeros_like(mask[:, 0])
    return states[torch.arange(len(states), device=states.device), at]


def revision(folder: Path) -> str:
    """sha256 of the files that a network is read from, so that other weights of the same name are another network."""
    files = [path for pattern in ("*.safetensors", "pytorch_model*.bin", "*.json") for path in folder.glob(pattern)]
    stats = [(path, path.stat()) for path in sorted(files)]
    return _digest(tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in stats))


@lru_cache(maxsize=16)
def _digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path, size, _ in files:
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _sayable(text: str) -> str:
    """The text with what UTF-8 cannot say (half of a surrogate pair) as a question mark; tokenizers refuse it."""
    return text.encode("utf-8", "replace").decode("utf-8")
