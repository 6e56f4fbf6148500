"""What is known of models beside their scores: a file of descriptions, as texts or as numbers."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.errors import DataError

WORDS = 256
"""Dimensions that the words and pairs of words of a text are hashed into."""

Description = str | Sequence[float] | NDArray[np.floating]


def read_descriptions(path: Path | str, models: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Descriptions of these models, (m, p), rows of zeros for those without; and which have one, (m,).

    Parameters
    ----------
    path : a ``.json`` file, an object of models and texts or lists of numbers; or a ``.csv`` file, each line a model
        and its text, or a model and its numbers. Models that are not asked for are passed over.

    Raises
    ------
    DataError : it cannot be read, describes none of the models, or describes them at different lengths.
    """
    source = Path(path)
    try:
        found = _json(source) if source.suffix == ".json" else _csv(source)
    except OSError as error:
        raise DataError(f"cannot read the descriptions {source}: {error.strerror or error}") from error
    except (ValueError, csv.Error) as error:
        raise DataError(f"the descriptions {source} cannot be read: {error}") from error
    known = {name: vector_of(found[name], f"{source}, {name}") for name in models if name in found}
    if not known:
        raise DataError(
            f"{source} describes {len(found)} models, none of the {len(models)} of the pool: {models[0]}, ..."
        )
    lengths = {len(vector) for vector in known.values()}
    if len(lengths) > 1:
        raise DataError(
            f"{source} describes models by {min(lengths)} to {max(lengths)} numbers; it must be as many each"
        )
    vectors = np.zeros((len(models), lengths.pop()), dtype=np.float32)
    for i, name in enumerate(models):
        if name in known:
            vectors[i] = known[name]
    return vectors, np.array([name in known for name in models])


def vector_of(description: Description, whose: str) -> NDArray[np.float32]:
    """A description as numbers, (p,): a text by hashing its words and pairs of words, to length one.

    Parameters
    ----------
    whose : named in the error.

    Raises
    ------
    DataError : it is neither a text nor finite numbers.
    """
    if isinstance(description, str):
        from sklearn.feature_extraction.text import HashingVectorizer

        hashed = HashingVectorizer(n_features=WORDS, ngram_range=(1, 2)).transform([description])
        text: NDArray[np.float32] = hashed.toarray()[0].astype(np.float32)
        return text
    try:
        vector = np.asarray(description, dtype=np.float32)
    except (TypeError, ValueError):
        vector = np.zeros((0, 0), dtype=np.float32)
    if vector.ndim != 1 or len(vector) == 0 or not np.isfinite(vector).all():
        raise DataError(f"{whose}: a description is a text, or a list of finite numbers")
    return vector


def _json(source: Path) -> Mapping[str, Any]:
    found = json.loads(source.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError("it holds no object of models and descriptions")
    return found


def _csv(source: Path) -> Mapping[str, Any]:
    with source.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file, strict=True) if row]
    short = [row[0] for row in rows if len(row) < 2]
    if short:
        raise ValueError(f"{len(short)} lines have a model and nothing else, first {short[0]!r}")
    return {row[0]: _numbers(row[1:]) if len(row) > 2 else row[1] for row in rows}


def _numbers(row: Sequence[str]) -> Sequence[float] | str:
    try:
        return [float(value) for value in row]
    except ValueError:
        return ", ".join(row)  # a text whose commas were not quoted
