"""Arrays in .npy files: what a header claims is compared with the file before anything is allocated or mapped."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.errors import DataError


def read_array(path: Path, *, mapped: bool = False) -> NDArray[Any]:
    """The array in a .npy file, of any shape and any dtype but Python objects.

    Parameters
    ----------
    mapped : map the file into memory instead of reading it.

    Raises
    ------
    DataError : it is no .npy file, holds objects, holds less than it claims, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            if version not in ((1, 0), (2, 0)):
                raise ValueError(f"version {version} of the format holds no plain arrays")
            one = version == (1, 0)
            read = np.lib.format.read_array_header_1_0 if one else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
            left = path.stat().st_size - file.tell()
        claimed = math.prod(shape) * dtype.itemsize
        if dtype.hasobject:
            raise ValueError("it holds Python objects")
        if claimed > left:
            raise ValueError(f"it claims {shape} of {dtype}, {claimed} bytes, and has {left}")
        values: NDArray[Any] = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except Exception as error:  # NumPy reads the header as Python source, so a damaged one raises what that may
        raise DataError(f"{path} is damaged or no .npy file of numbers: {error or type(error).__name__}") from error
    return values
