"""What is known of models besides their scores: a table with one row per model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from routereval.errors import DataError, MissingDataError
from routereval.sources.table_files import read_frame

NAMES = ("model", "model_name", "model_id", "llm")
"""Columns that name the model, the first that is there."""


def load_metadata(path: Path) -> dict[str, dict[str, Any]]:
    """Model to property to value, out of a CSV, JSONL or Parquet file; the model's name is the property ``model`` too.

    Raises
    ------
    MissingDataError : no such file.
    DataError : it cannot be read, names no models, or has several rows for one.
    """
    if not path.is_file():
        raise MissingDataError(f"there is no metadata file {path}")
    try:
        frame = read_frame(path)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    name = next((name for name in NAMES if name in frame.columns), None)
    if name is None:
        raise DataError(
            f"{path} has no column {NAMES[0]!r} (or {', '.join(NAMES[1:])}) to say which model a row is about; "
            f"it has: {', '.join(frame.columns)}"
        )
    rows = frame.filter(frame[name].is_not_null()).rename({name: "model"}).to_dicts()
    known = {str(row["model"]): row for row in rows}
    if len(known) < len(rows):
        raise DataError(f"{path} has {len(rows)} rows for {len(known)} models; keep one each")
    return known
