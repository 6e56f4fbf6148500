"""Arrays that one process made and every process of a machine maps: pages are shared, not copied.

Each folder holds ``<name>.npy`` for each array, and SHA256SUMS. It is named by what the arrays were made of, so it
never changes; a damaged one is as good as none.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.data import checksums
from routereval.data.array_files import read_array
from routereval.data.checking import ensure_whole
from routereval.errors import DataError

FROM_BYTES = 2**20
"""Fewer bytes are not worth a file."""


def mapped(folder: Path, names: Sequence[str]) -> tuple[NDArray[Any], ...] | None:
    """The arrays in a folder, memory-mapped; None where there is no such folder. A damaged one is removed."""
    if not (folder / checksums.NAME).is_file():
        return None
    try:
        ensure_whole(folder)
        return tuple(read_array(folder / f"{name}.npy", mapped=True) for name in names)
    except DataError:
        shutil.rmtree(folder, ignore_errors=True)
        return None


def share(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
    """The same arrays from files that are written now; as they are where they are small or no file can be written."""
    if sum(array.nbytes for array in arrays.values()) >= FROM_BYTES:
        # What is not written costs each process a copy, and nothing else.
        with suppress(OSError):
            _write(folder, arrays)
    return mapped(folder, list(arrays)) or tuple(arrays.values())


def _write(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        for name, array in arrays.items():
            np.save(temporary / f"{name}.npy", array, allow_pickle=False)
        checksums.write(temporary)
        temporary.rename(folder)  # fails where another process was first, with the same content
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
