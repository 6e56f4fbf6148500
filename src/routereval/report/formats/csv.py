"""Tables as CSV: one line per number, no comments, names that no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import fields
from functools import lru_cache
from typing import Any

from routereval.report.formats.escaping import csv_text
from routereval.report.formats.tidy import TidyRow, all_tidy
from routereval.report.paper_tables import PaperTable


def as_csv(tables: Iterable[PaperTable]) -> str:
    """A heading line, then a line per number; what does not exist is empty, and numbers are numbers."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(TidyRow)])
    writer.writerows([_written(value) for value in vars(row).values()] for row in all_tidy(tables))
    return text.getvalue()


# The same few names stand in every line.
_text = lru_cache(maxsize=4096)(csv_text)


def _written(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return _text(value) if isinstance(value, str) else value
