"""Tables of what is known of models."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from routereval.errors import DataError, MissingDataError
from routereval.sources.model_metadata import load_metadata


def test_a_csv_a_jsonl_and_a_parquet_file_say_the_same(tmp_path: Path) -> None:
    rows = [{"model": "a", "params_b": "7", "family": "x"}, {"model": "b", "params_b": "13", "family": "y"}]
    csv, jsonl, parquet = (tmp_path / f"m{suffix}" for suffix in (".csv", ".jsonl", ".parquet"))
    csv.write_text("model,params_b,family\na,7,x\nb,13,y\n")
    jsonl.write_text("\n".join(map(json.dumps, rows)))
    pl.DataFrame(rows).write_parquet(parquet)
    expected = {row["model"]: row for row in rows}
    assert load_metadata(csv) == load_metadata(jsonl) == load_metadata(parquet) == expected


def test_the_column_of_models_may_have_another_name(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("model_id,open\n007,yes\n")
    assert load_metadata(tmp_path / "m.csv") == {"007": {"model": "007", "open": "yes"}}


def test_a_table_without_models_or_with_one_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="there is no metadata file"):
        load_metadata(tmp_path / "none.csv")
    (tmp_path / "m.csv").write_text("who,params_b\na,7\n")
    with pytest.raises(DataError, match=r"no column 'model' .* it has: who, params_b"):
        load_metadata(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_text("model,params_b\na,7\na,8\nb,1\n")
    with pytest.raises(DataError, match="3 rows for 2 models"):
        load_metadata(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_text("model,params_b\na\n")
    with pytest.raises(DataError, match=r"m\.csv: line 2 has 1 fields"):
        load_metadata(tmp_path / "m.csv")
