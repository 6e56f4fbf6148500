"""Reading a table's file, and a file of embeddings beside it."""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from routereval.data.array_files import read_array
from routereval.errors import DataError, MissingDataError
from routereval.sources.parquet_files import read_parquet

if TYPE_CHECKING:
    import polars as pl

MAX_RATIO = 400
"""How many times its packed size a table may unpack to, beyond ``MOST_UNPACKED`` bytes."""
MOST_UNPACKED = 100_000_000


def read_frame(path: Path) -> pl.DataFrame:
    """The table as it stands; of a CSV every cell as a string, so that an id 007 stays one.

    Raises
    ------
    DataError : it cannot be read as what its name says, or has a column twice.
    """
    import polars as pl

    suffix = suffix_of(path)
    with polars_faults(f"cannot be read as {suffix.strip('.')}"):
        if suffix == ".parquet":
            return read_parquet(path)
        if suffix in (".jsonl", ".ndjson"):
            _check_repeated_names(_first_line_keys(path))
            return pl.read_ndjson(path.read_bytes().removeprefix(codecs.BOM_UTF8), infer_schema_length=None)
        separator = "\t" if suffix == ".tsv" else ","
        _check_fields(path, separator)
        return pl.read_csv(path.read_bytes(), separator=separator, infer_schema=False)


@contextmanager
def polars_faults(what: str) -> Iterator[None]:
    """Whatever reading a damaged file provokes, in polars and below it, as a ``DataError`` that begins so."""
    import polars as pl

    try:
        yield
    except pl.exceptions.PolarsError as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else "it is empty"
        raise DataError(f"{what}: {first}") from error
    except (OSError, EOFError, csv.Error, ValueError, zlib.error, MemoryError) as error:
        raise DataError(f"{what}: {error or type(error).__name__}") from error
    except pl.exceptions.PanicException as error:  # no Exception: a mistake in polars that a damaged file finds
        raise DataError(f"{what}: polars gave up on it ({str(error).strip().splitlines()[0][:200]})") from error


def _check_fields(path: Path, separator: str) -> None:
    """Every row of a CSV must have as many fields as the header: one that has fewer was cut off.

    Raises
    ------
    DataError : names the first such line.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, delimiter=separator)
        header = next(reader, [])
        _check_repeated_names(header)
        packed = path.stat().st_size
        for number, row in enumerate(reader):
            if number % 10_000 == 0 and raw.tell() > MOST_UNPACKED + MAX_RATIO * packed:
                raise DataError(
                    f"{packed:,} bytes unpack to more than {MAX_RATIO} times as many; if you trust it, unpack it first"
                )
            if row and len(row) != len(header):
                raise DataError(
                    f"line {reader.line_num} has {len(row)} fields, the header {len(header)}; is the file complete?"
                )


def _first_line_keys(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig") as file:
        line = next((line for line in file if line.strip()), "")
    try:
        pairs = json.loads(line, object_pairs_hook=lambda pairs: pairs)
    except (ValueError, RecursionError) as error:
        raise DataError(f"line 1 is no JSON: {error}") from error
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        raise DataError("line 1 is no JSON object; expected one object per line")
    return [key for key, _ in pairs]


def _check_repeated_names(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DataError(
            f"{len(twice)} columns are there more than once: {', '.join(map(repr, twice[:5]))}; keep one each"
        )


def read_embeddings(path: Path, n: int) -> NDArray[np.float32]:
    """Embeddings (n, d) of n prompts out of a .npy file.

    Raises
    ------
    MissingDataError : no such file.
    DataError : no such array.
    """
    if not path.is_file():
        raise MissingDataError(f"there is no file of embeddings {path}; expected a .npy file with a row per prompt")
    values = read_array(path)
    if values.dtype.kind not in "iuf" or values.ndim != 2 or len(values) != n:
        raise DataError(
            f"{path} is {values.dtype} with shape {values.shape}; expected numbers ({n}, d), a row for each of the {n} "
            "prompts in the order in which they first appear in the table"
        )
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which Queries reports
        return np.ascontiguousarray(values, dtype=np.float32)


def sha256(path: Path, what: str) -> str:
    """The hash of a file's content.

    Raises
    ------
    MissingDataError : no such file; says what it was to be.
    DataError : it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise MissingDataError(f"there is no {what} file {path}") from None
    except OSError as error:
        raise DataError(f"cannot read the {what} file {path}: {error.strerror or error}") from error


def suffix_of(path: Path) -> str:
    """How the name ends, in lower case: ``.csv``, ``.csv.gz``, ...."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return "".join(suffixes[-2:]) if suffixes[-1:] == [".gz"] else suffixes[-1] if suffixes else ""


def stem_of(path: Path) -> str:
    """The name without that."""
    return path.name[: -len(suffix_of(path))] if suffix_of(path) else path.name
