"""Zips that unpack to far more than they are, refused before anything is unpacked."""

from __future__ import annotations

import zipfile
from typing import IO

from routereval.errors import UnsafeFileError

MAX_RATIO = 400
"""How many times its packed size a file of arrays may unpack to, beyond ``MOST_UNPACKED`` bytes."""
MOST_UNPACKED = 256_000_000


def check_packing(file: IO[bytes], source: object) -> None:
    """Look at the sizes that a zip's members declare, of which none unpacks to more.

    Parameters
    ----------
    file : opened for reading; it is at its beginning afterwards.
    source : what to call it in an error.

    Raises
    ------
    UnsafeFileError : together they are far more than the file.
    zipfile.BadZipFile : it is no zip.
    """
    with zipfile.ZipFile(file) as members:
        unpacked = sum(member.file_size for member in members.infolist())
    packed = file.seek(0, 2)
    file.seek(0)
    if unpacked > MOST_UNPACKED + MAX_RATIO * packed:
        raise UnsafeFileError(
            f"{source} was refused: {packed:,} bytes unpack to {unpacked:,}, as files do that are to fill the memory"
        )
