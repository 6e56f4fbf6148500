"""What an unpickled router dataset says: its pools and its prompts, each checked, with all that is wrong at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.data.benchmark import PoolKey
from routereval.data.scenario import STRATEGIES, CandidatePool
from routereval.errors import DataError

GRID = {"easy": (3, 5), "hard": (10, 100, 1000)}
PARTS = ("train", "val", "test")
POOL_SEED = 42
"""What the published pools were drawn with (Huang et al. 2025, released code)."""


@dataclass(frozen=True, eq=False)
class Pool:
    """One pool as the file has it: models, and scores (n, m) of the parts that are there."""

    pool: CandidatePool
    scores: Mapping[str, NDArray[Any]]
    labels: NDArray[np.uint8] | None

    @property
    def key(self) -> PoolKey:
        """Strategy and number of models."""
        return self.pool.strategy, len(self.pool)

    @property
    def name(self) -> str:
        """The pool's name in errors, ``strategy/m``."""
        return f"{self.pool.strategy}/{len(self.pool)}"


@dataclass(frozen=True, eq=False)
class Prompts:
    """What the file says of one part's prompts."""

    ids: list[str] | None
    embeddings: NDArray[Any] | None
    texts: list[str] | None


def read_pools(top: Mapping[Any, Any]) -> list[Pool]:
    """Every pool in file order, or an error with everything that is wrong with them."""
    pools: dict[PoolKey, Pool] = {}
    problems = []
    for level in GRID:
        sizes = mapping(top.get(level, {}), f"[{level!r}]", "a dictionary of pool sizes")
        for m, strategies in sizes.items():
            entries = mapping(strategies, f"[{level!r}][{m!r}]", "a dictionary of strategies")
            for strategy, entry in entries.items():
                try:
                    pool = _read_pool(m, strategy, entry)
                except DataError as error:
                    problems.append(f"[{level!r}][{m!r}][{strategy!r}]: {error}")
                    continue
                if pool.key in pools:
                    problems.append(f"pool {pool.name} is there twice; keep one")
                pools[pool.key] = pool
    raise_all(problems)
    if not pools:
        raise DataError(
            "there is no pool in it; expected ['easy'][3 or 5] or ['hard'][10, 100 or 1000], then a strategy "
            f"({', '.join(STRATEGIES)})"
        )
    return list(pools.values())


def _read_pool(m: Any, strategy: Any, entry: Any) -> Pool:
    # The strategy becomes part of ids and of file names in the store.
    if not isinstance(strategy, str) or not re.fullmatch(r"[A-Za-z]\w{0,63}", strategy, re.ASCII):
        raise DataError(f"a strategy needs a name of letters, digits and _, such as {STRATEGIES[0]!r}")
    fields = mapping(entry, "the pool", "a dictionary with 'model' and 'data'")
    models = strings(fields.get("model"), "'model'")
    pool = CandidatePool(tuple(models), strategy, POOL_SEED)
    if type(m) is not int or m != len(models):
        raise DataError(f"'model' names {len(models)} models; the pool is said to have {m!r}, and both must agree")
    data = mapping(fields.get("data", {}), "'data'", "a dictionary with 'train_score', 'val_score', 'test_score'")
    scores, problems = {}, []
    for part in PARTS:
        if f"{part}_score" in data:
            values = data[f"{part}_score"]
            problem = fault_of_scores(values, models)
            scores[part] = values
            if problem:
                problems.append(f"{part}_score: {problem}")
    labels = data.get("train_label")
    if labels is not None:
        fault = fault_of_scores(labels, models)
        if not fault and not ((labels == 0) | (labels == 1)).all():
            fault = "labels must be 0 or 1, and some lie between"
        if fault:
            problems.append(f"train_label: {fault}")
    raise_all(problems)
    return Pool(pool, scores, None if labels is None else labels.astype(np.uint8))


def fault_of_scores(values: Any, models: list[str]) -> str | None:
    """What is wrong with scores (n, m) that must be finite and in [0, 1]; None where nothing is."""
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
        kind = f"an array of {values.dtype}" if isinstance(values, np.ndarray) else f"a {type(values).__name__}"
        return f"is {kind}; expected an array of numbers (prompts x models)"
    if values.ndim != 2 or values.shape[1] != len(models):
        return f"has shape {values.shape}; expected (prompts, {len(models)}), a column for each of the models"
    if values.size == 0 or (values.min() >= 0 and values.max() <= 1):
        return None
    faults = []
    for what, bad in (
        ("nan", np.isnan(values)),
        ("infinite", np.isinf(values)),
        ("outside [0, 1]", np.isfinite(values) & ((values < 0) | (values > 1))),
    ):
        if bad.any():
            row, column = np.argwhere(bad)[0]
            first = f"row {row}, model {models[column]!r}: {values[row, column]}"
            faults.append(f"{int(bad.sum())} of {values.size} values are {what} (first: {first})")
    return f"{', '.join(faults)}; every model needs a score from 0 to 1 on every prompt, or leave the whole part out"


def read_prompts(top: Mapping[Any, Any], pools: list[Pool]) -> tuple[dict[str, Prompts], dict[str, int]]:
    """What is known of the prompts of each part, and how many there are; 0 where no pool has scores for it."""
    sections = {
        name: mapping(top.get(name, {}), f"[{name!r}]", "a dictionary of train, val and test")
        for name in ("split_index", "embedding", "prompt")
    }
    prompts, sizes, problems = {}, {}, []
    for part in PARTS:
        lengths = {f"{part}_score of {pool.name}": len(pool.scores[part]) for pool in pools if part in pool.scores}
        sizes[part] = 0
        prompts[part] = Prompts(None, None, None)
        if not lengths:
            continue
        try:
            found = _read_part(
                sections["split_index"].get(f"{part}_indices"),
                sections["embedding"].get(f"{part}_embed"),
                sections["prompt"].get(f"{part}_prompt"),
                part,
            )
        except DataError as error:
            problems.append(str(error))
            continue
        for name, values in (("indices", found.ids), ("embed", found.embeddings), ("prompt", found.texts)):
            if values is not None:
                lengths[f"{part}_{name}"] = len(values)
        if len(set(lengths.values())) > 1:
            first_with: dict[int, str] = {}
            for name, n in lengths.items():
                first_with.setdefault(n, name)
            counts = ", ".join(f"{name} has {n} rows" for n, name in first_with.items())
            problems.append(f"{counts}; expected one for each {part} prompt everywhere")
        elif part != "val" and 0 in lengths.values():
            problems.append(f"the {part} split is empty; it needs at least one prompt, or leave {part}_score out")
        prompts[part], sizes[part] = found, next(iter(lengths.values()))
    widths = {part: e.shape[1] for part in PARTS if (e := prompts[part].embeddings) is not None}
    if len(set(widths.values())) > 1:
        counts = ", ".join(f"{part}_embed {width}" for part, width in widths.items())
        problems.append(f"embeddings differ in length: {counts}; embed all prompts with one encoder")
    raise_all(problems)
    return prompts, sizes


def _read_part(indices: Any, embeddings: Any, texts: Any, part: str) -> Prompts:
    if indices is not None:
        indices = np.asarray(indices) if isinstance(indices, list | tuple) else indices
        if not isinstance(indices, np.ndarray) or indices.dtype.kind not in "iu" or indices.ndim != 1:
            raise DataError(f"{part}_indices is {_what(indices)}; expected whole numbers, one per prompt")
    if embeddings is not None and (
        not isinstance(embeddings, np.ndarray) or embeddings.dtype.kind not in "iuf" or embeddings.ndim != 2
    ):
        raise DataError(f"{part}_embed is {_what(embeddings)}; expected numbers of shape (prompts, length)")
    return Prompts(
        None if indices is None else [str(i) for i in indices.tolist()],
        embeddings,
        None if texts is None else strings(texts, f"{part}_prompt"),
    )


# What pickled values should be


def _what(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} with shape {value.shape}"
    return f"a {type(value).__name__}"


def mapping(value: Any, name: str, expected: str) -> Mapping[Any, Any]:
    """The value, where it is a dictionary; else an error that says what it is."""
    if not isinstance(value, dict):
        raise DataError(f"{name} is {_what(value)}; expected {expected}")
    return value


def strings(value: Any, name: str) -> list[str]:
    """A list, tuple or one-dimensional array of strings as a list; else an error that says what it is."""
    listed = value.tolist() if isinstance(value, np.ndarray) and value.ndim == 1 else value
    if not isinstance(listed, list | tuple) or not all(isinstance(item, str) for item in listed):
        raise DataError(f"{name} is {'not there' if value is None else _what(value)}; expected a list of strings")
    return [str(item) for item in listed]


def raise_all(problems: Iterable[str], shown: int = 8) -> None:
    """One error with all problems, of which the first are written out; none where there are none."""
    found = list(problems)
    if found:
        more = f"; and {len(found) - shown} more like these" if len(found) > shown else ""
        raise DataError("; ".join(found[:shown]) + more)
