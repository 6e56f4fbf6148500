"""Parquet files, read in a process of their own.

A damaged one can make polars abort the process or wait for ever for a thread of its own that has given up (seen with
polars 2.1), and no exception handler helps against either. The process hands the table over as an Arrow file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from routereval.errors import DataError

if TYPE_CHECKING:
    import polars as pl

ROWS_PER_BYTE = 50
FEWEST_ROWS = 10_000_000
"""More rows than this, and than that many per byte of the file, are a claim to fill the memory."""

PATIENCE_SECONDS = 10.0
"""How long a reader that has given up is waited for."""

READER = """
import os, sys
import polars as pl
source, target, most = sys.argv[1], sys.argv[2], int(sys.argv[3])
try:
    with open(source, "rb") as file:
        rows = pl.scan_parquet(file).select(pl.len()).collect().item()
        if rows > most:
            raise pl.exceptions.ComputeError(f"it claims {rows} rows in {os.path.getsize(source)} bytes")
        file.seek(0)
        pl.read_parquet(file).write_ipc(target)
except (pl.exceptions.PolarsError, OSError, MemoryError) as error:
    print(" ".join(str(error).split())[:500] or "it is empty", flush=True)
    os._exit(3)
os._exit(0)
"""


def read_parquet(path: Path) -> pl.DataFrame:
    """The table in a Parquet file.

    Raises
    ------
    DataError : it is damaged or something else, or claims far more rows than it can hold.
    OSError : it cannot be opened.
    """
    import polars as pl

    with path.open("rb"):
        most = max(FEWEST_ROWS, ROWS_PER_BYTE * path.stat().st_size)
    with tempfile.TemporaryDirectory(prefix="routereval-", ignore_cleanup_errors=True) as folder:
        target = Path(folder) / "table.arrow"
        fault = _converted(path, target, most)
        if fault is not None:
            raise DataError(f"cannot be read as parquet: {fault}")
        return pl.read_ipc(target)


def _converted(source: Path, target: Path, most: int) -> str | None:
    """Write the table as an Arrow file, and say what is wrong where that cannot be done."""
    gave_up = False
    with tempfile.TemporaryFile() as said:
        reader = subprocess.Popen(
            # -P: what lies in the folder one works in is not imported.
            [sys.executable, "-P", "-c", READER, str(source.absolute()), str(target), str(most)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.PIPE,
        )
        assert reader.stderr is not None
        with reader.stderr as complaints:
            noise = b""
            # There are none until it ends; or one of its threads has given up, and then it may never end.
            while not gave_up and (more := os.read(complaints.fileno(), 1 << 16)):
                noise += more
                gave_up = b"panicked" in noise
            try:
                code = reader.wait(PATIENCE_SECONDS if gave_up else None)
            except subprocess.TimeoutExpired:
                reader.kill()
                code = reader.wait()
        said.seek(0)
        message = said.read().decode("utf-8", "replace").strip()
    if code == 0 and not gave_up:
        return None
    return message or "its reader gave up on it; the file is damaged"
