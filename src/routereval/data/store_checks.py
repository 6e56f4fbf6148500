"""What a folder of the store must be: names that are names, arrays of the shapes and types that they were written in.

Only names, shapes and types are looked at, and the positions of the split: what an array holds is for checksums to say.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from routereval.data.benchmark import BenchmarkData
from routereval.data.texts import Texts

_ARRAY = re.compile(r"\w[\w.-]*", re.ASCII)


def check_meta(meta: Any) -> None:
    """Refuse what is not the meta.json of a folder.

    Raises
    ------
    ValueError, KeyError, TypeError : says what is wrong.
    """
    if not isinstance(meta, dict):
        raise ValueError("meta.json is no object")
    # They become file names.
    names = [*meta["arrays"], *meta["scores"]]
    odd = [name for name in names if not (isinstance(name, str) and _ARRAY.fullmatch(name))]
    if odd:
        raise ValueError(f"{odd[0]!r:.80} cannot be the name of an array")
    for key in ("prompt_ids", "model_ids", "missing", "planes", "subsets"):
        listed = meta.get(key) or []
        if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
            raise ValueError(f"{key} is no list of names")
    for key in ("benchmark", "source", "data_hash", "encoder"):
        if not isinstance(meta.get(key, ""), str):
            raise ValueError(f"{key} is no text")
    for key in ("pools_saw_test", "split_given", "synthetic"):
        if not isinstance(meta.get(key, False), bool):
            raise ValueError(f"{key} is neither true nor false")
    if not isinstance(meta["reference_model"], str | None) or not isinstance(
        meta["reference_score"], int | float | None
    ):
        raise ValueError("the reference is none")
    columns = range(len(meta["model_ids"]))
    for pool in meta["pools"]:
        if not isinstance(pool["m"], int) or pool["m"] != len(pool["columns"]):
            raise ValueError(f"pool {pool['strategy']}/{pool['m']} has {len(pool['columns'])} models")
        if not all(isinstance(i, int) and i in columns for i in pool["columns"]):
            raise ValueError(f"pool {pool['strategy']}/{pool['m']} has a model that is none of {len(columns)}")


def check_shapes(data: BenchmarkData) -> None:
    """Refuse arrays of another shape or type than the names ask for.

    Raises
    ------
    ValueError : says which.
    """
    n, m = data.scores.shape
    words = m, -(-n // 64)
    if (data.scores.bits is None) == (data.scores.values is None):
        raise ValueError("scores are there in two forms, or in none")
    expected: dict[str, tuple[Any, tuple[int, ...], Any]] = {
        "bits": (data.scores.bits, words, np.uint64),
        "observed": (data.scores.observed, words, np.uint64),
        "values": (data.scores.values, (n, m), np.float32),
    }
    if data.queries.embeddings is not None:
        expected["embeddings"] = data.queries.embeddings, (n, data.queries.embeddings.shape[1]), np.float32
    expected |= {f"plane {name!r}": (plane, (n, m), np.float32) for name, plane in data.planes.items()}
    expected |= {
        f"labels of {strategy}/{k}": (labels, (len(data.split.train), k), np.uint8)
        for (strategy, k), labels in data.train_labels.items()
    }
    if isinstance(data.queries.texts, Texts):
        blob, offsets = data.queries.texts.arrays
        expected["texts"] = blob, (blob.size,), np.uint8
        expected["text_offsets"] = offsets, (n + 1,), np.int64
    for name, (array, shape, dtype) in expected.items():
        if array is not None and (array.shape != shape or array.dtype != dtype):
            raise ValueError(f"{name} is {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}")
    if len(set(data.scores.model_ids)) < m:
        raise ValueError("a model is there twice")
    if data.subsets is not None and len(data.subsets) != n:
        raise ValueError(f"{len(data.subsets)} subsets for {n} prompts")
    for name in ("train", "val", "test"):
        _check_positions(name, getattr(data.split, name), n)


def _check_positions(name: str, index: Any, n: int) -> None:
    if index.ndim != 1 or index.dtype.kind not in "iu" or (len(index) and not 0 <= index.min() <= index.max() < n):
        raise ValueError(f"split_{name} holds something else than positions of {n} prompts")
