"""The prompts of one part of a split, cut out of a mapped array once for all worker processes of a machine.

Train and test prompts do not lie beside each other in the store, so a part of it is a copy. A process that works alone
keeps that copy to itself; where several do, the first to need it writes it down and all map it::

    parts/<hash of the array's sum and the positions>/part.npy, SHA256SUMS
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from routereval.data import checksums, shared_arrays
from routereval.data.home import home
from routereval.errors import DataError

Array = TypeVar("Array", bound=NDArray[Any])

_shared = False


def share_parts() -> None:
    """From now on this process shares what it cuts out with the others of this machine."""
    global _shared
    _shared = True


def rows(array: Array, index: NDArray[np.intp]) -> Array:
    """The rows at these positions, in this order, one after the other in memory."""
    part: Array = np.ascontiguousarray(array[index])  # type: ignore[assignment]
    return part


def cut_out(array: Array, index: NDArray[np.intp], cut: Callable[[Array, NDArray[np.intp]], Array] = rows) -> Array:
    """``cut(array, index)``, as a mapped file where the array itself is a file of the store and processes share.

    Parameters
    ----------
    cut : always the same one for the same array: what it made is found again by the array and the positions alone.
    """
    folder = _folder(array, index) if _shared else None
    if folder is None:
        return cut(array, index)
    found = shared_arrays.mapped(folder, ["part"]) or shared_arrays.share(folder, {"part": cut(array, index)})
    # As a plain array: what is computed of it is no file any more.
    part: Array = np.asarray(found[0])  # type: ignore[assignment]
    return part


def _folder(array: NDArray[Any], index: NDArray[np.intp]) -> Path | None:
    """Where the part lies; None where the array is no whole file whose sum is known, or is small."""
    if not isinstance(array, np.memmap) or array.nbytes < shared_arrays.FROM_BYTES:
        return None
    file = Path(str(array.filename))
    with suppress(DataError, OSError, ValueError):
        known = checksums.read(file.parent).get(file.name)
        if known is not None and _is_whole(array, file):
            name = hashlib.sha256(known.encode() + np.ascontiguousarray(index, dtype=np.int64).tobytes())
            return home() / "parts" / name.hexdigest()[:32]
    return None


def _is_whole(array: NDArray[Any], file: Path) -> bool:
    """Whether it is the file from its first value to its last: a slice of a mapped array names the same file."""
    whole = np.load(file, mmap_mode="r", allow_pickle=False)
    return bool(whole.shape == array.shape and whole.dtype == array.dtype and whole.strides == array.strides)
