"""Tables as a polars frame: one row per number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from routereval.report.formats.tidy import TidyRow, all_tidy
from routereval.report.paper_tables import PaperTable

if TYPE_CHECKING:
    import polars


def frame(tables: Iterable[PaperTable]) -> polars.DataFrame:
    """One row per number, columns as :class:`TidyRow` has them; what does not exist is null."""
    import polars as pl

    # The annotations, as text: what a column is, also where it is null throughout.
    kinds = {"str": pl.String, "int": pl.Int64, "float": pl.Float64, "bool": pl.Boolean}
    schema = {field.name: kinds[str(field.type).split(" |")[0]] for field in fields(TidyRow)}
    rows = [tuple(map(_whole, vars(row).values())) for row in all_tidy(tables)]
    return pl.DataFrame(rows, schema=schema, orient="row")


def _whole(value: Any) -> Any:
    """Text with halves of surrogate pairs written out, which no UTF-8 can hold."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
