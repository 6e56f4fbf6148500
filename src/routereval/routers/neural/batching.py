"""Which texts go through a network together: batches of like length, padded to their own longest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from routereval.routers.neural.tokens import Tokens

if TYPE_CHECKING:
    import torch

Indices = NDArray[np.intp]

_POOLED = 50
"""Batches that are sorted by length together: enough to be alike, few enough that an epoch is still shuffled."""


def shuffled_batches(n: int, batch: int, rng: np.random.Generator) -> list[Indices]:
    """All of n prompts in random order, ``batch`` at a time; the last batch may be smaller."""
    order = rng.permutation(n)
    return [order[start : start + batch] for start in range(0, n, batch)]


def bucketed_batches(lengths: NDArray[np.int64], batch: int, rng: np.random.Generator) -> list[Indices]:
    """All prompts, in batches of like length that come in random order.

    Prompts are shuffled, cut into stretches of fifty batches, sorted by length within each, and cut into batches.

    Parameters
    ----------
    lengths : (n,) tokens of each prompt.
    """
    order = rng.permutation(len(lengths))
    stretch = _POOLED * batch
    batches = []
    for start in range(0, len(order), stretch):
        some = order[start : start + stretch]
        some = some[np.argsort(lengths[some], kind="stable")]
        batches += [some[at : at + batch] for at in range(0, len(some), batch)]
    return [batches[i] for i in rng.permutation(len(batches))]


def sorted_batches(lengths: NDArray[np.int64], batch: int) -> list[Indices]:
    """All prompts from the longest to the shortest, ``batch`` at a time: for predicting, where order does not matter.

    The longest come first, so that what does not fit into memory fails at once.
    """
    order = np.argsort(-lengths, kind="stable")
    return [order[start : start + batch] for start in range(0, len(order), batch)]


def padded(
    tokens: Tokens, index: Indices, pad: int, device: str = "cpu", width: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Some texts as one rectangle.

    Parameters
    ----------
    index : which, (b,).
    pad : the number of the padding token.
    width : pad to this many tokens; 0: to the longest among them.

    Returns
    -------
    input_ids, attention_mask : (b, width) int64 each, on the device.
    """
    import torch

    lengths = tokens.lengths[index]
    width = width or max(1, int(lengths.max(initial=1)))
    ids = np.full((len(index), width), pad, dtype=np.int64)
    mask = np.arange(width) < lengths[:, None]
    ids[mask] = np.concatenate([tokens.row(i) for i in index]) if len(index) else 0
    return torch.from_numpy(ids).to(device), torch.from_numpy(mask.astype(np.int64)).to(device)
