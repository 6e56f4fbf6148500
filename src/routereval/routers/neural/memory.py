"""Running out of memory: told apart from other errors, and what to do before trying again with less."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import TypeVar

from routereval.errors import RouterError
from routereval.routers.neural.batching import Indices

Made = TypeVar("Made")


def out_of_memory(error: BaseException) -> bool:
    """Whether this is what PyTorch raises where memory is full, on whichever device."""
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def release() -> None:
    """Give back what nobody uses any more."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def in_parts(batches: Sequence[Indices], work: Callable[[Indices], Made]) -> list[tuple[Indices, Made]]:
    """The work done on each batch; one that does not fit into memory is halved, and so are those after it.

    Returns
    -------
    The prompts of each part with what was made of them.

    Raises
    ------
    RouterError : one prompt alone does not fit.
    """
    largest = max((len(batch) for batch in batches), default=1)
    made = []
    for batch in batches:
        left = [batch]
        while left:
            part = left.pop()
            pieces = [part[start : start + largest] for start in range(0, len(part), largest)]
            if len(pieces) > 1:
                left += reversed(pieces)
                continue
            try:
                made.append((part, work(part)))
                continue
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
            if len(part) == 1:
                raise RouterError("one prompt alone does not fit into memory; lower max_tokens")
            largest = len(part) // 2
            left.append(part)
            release()
    return made
