"""Where what is kept between runs lies: ``$ROUTEREVAL_HOME`` or the user's cache directory.

::

    store/<key>/meta.json, *.npy     one BenchmarkData each, and SHA256SUMS
    parts/<hash>/part.npy            the rows of one part of a split, which worker processes share
    scratch/                         what is being made and too large for the memory
    seen/<sha256 of a path>.json     which key a file had when it was last read, so that it need not be hashed again
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from routereval.errors import DataError

FORMAT = 2
"""Version of the layout; part of every key and note, so a new layout never reads what an old one left."""


def home() -> Path:
    """Where everything that is kept between runs lies: ``$ROUTEREVAL_HOME`` or the user's cache directory."""
    chosen = os.environ.get("ROUTEREVAL_HOME")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("routereval"))


def scratch(needed: int) -> Path:
    """A folder for what is too large for the memory while it is being made; on the same disk as the store.

    Raises
    ------
    DataError : it cannot be made, or there are fewer than ``needed`` bytes left.
    """
    folder = home() / "scratch"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f"{needed:,} bytes are needed in {folder}, and {free:,} are left; "
            "free some space, or set ROUTEREVAL_HOME to a folder that has more"
        )
    return folder


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """The system's errors on writing there as ours."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write the store in {folder}: {error.strerror or error}; "
            "free some space, or set ROUTEREVAL_HOME to a folder that can be written"
        ) from error
