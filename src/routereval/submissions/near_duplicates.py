"""Test prompts that are near-identical to training prompts: of the benchmark, or of the submission's own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from routereval.data.duplicates import clusters_of
from routereval.data.queries import Queries
from routereval.data.scenario import Scenario
from routereval.encoders import EncoderSpec
from routereval.encoders.embedding import embed
from routereval.encoders.spec import best_core
from routereval.errors import DataError

MOST_PROMPTS = 1_000_000
"""How many training prompts of its own a submission may list."""


@dataclass(frozen=True, eq=False)
class OwnPrompts:
    """The training prompts that a submission brings.

    Parameters
    ----------
    texts : n strings.
    embeddings : (n, d) float32, from the benchmark's encoder; None where they are not given.
    """

    texts: tuple[str, ...]
    embeddings: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.texts)


def read_own_prompts(path: Path) -> OwnPrompts:
    """Read JSONL of ``{"text": ...}``, with ``"embedding": [...]`` in all rows or in none, or of strings.

    Raises
    ------
    DataError : a line that is neither, embeddings of different lengths, or too many lines.
    """
    texts: list[str] = []
    vectors: list[NDArray[np.float32]] = []
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                if len(texts) == MOST_PROMPTS:
                    raise DataError(f"more than {MOST_PROMPTS:,} prompts")
                row = json.loads(line)
                text = row if isinstance(row, str) else row.get("text", row.get("prompt"))
                if not isinstance(text, str):
                    raise DataError(f'line {number} has no text; expected {{"text": "..."}}')
                texts.append(text)
                if isinstance(row, dict) and row.get("embedding") is not None:
                    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which is told below
                        vectors.append(np.asarray(row["embedding"], dtype=np.float32))
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DataError(f"line {len(texts) + 1} cannot be read: {error}") from error
    if vectors and (len(vectors) != len(texts) or {one.shape for one in vectors} != {(vectors[0].size,)}):
        raise DataError(f"{len(vectors)} of {len(texts)} prompts have an embedding; give all of them one of one length")
    if vectors and not np.isfinite(np.stack(vectors)).all():
        raise DataError("embeddings are not finite")
    return OwnPrompts(tuple(texts), np.stack(vectors) if vectors else None)


def in_benchmark(scenario: Scenario) -> int:
    """How many test prompts are near-identical to a training prompt of the benchmark itself."""
    train, test = scenario.train.queries, scenario.test.queries
    clusters = clusters_of(_joined([train, test]))
    return int(np.isin(clusters[len(train) :], clusters[: len(train)]).sum())


def in_own(own: OwnPrompts, scenario: Scenario, protocol: str) -> list[str]:
    """Ids of the test prompts that are near-identical to one of these and to no training prompt of the benchmark.

    Texts are compared, and embeddings: those given with them where they have the length of the benchmark's, else
    computed for all texts. Without texts and with no such embeddings nothing can be compared.
    """
    test = scenario.test.queries
    found = np.zeros(len(test), dtype=np.bool_)
    for parts in _comparable(own, scenario.train.queries, test, protocol):
        clusters = clusters_of(_joined(parts))
        train, tested, mine = np.split(clusters, np.cumsum([len(one) for one in parts])[:-1])
        found |= np.isin(tested, mine) & ~np.isin(tested, train)
    return [test.ids[i] for i in np.flatnonzero(found)]


def comparable(own: OwnPrompts, scenario: Scenario) -> bool:
    """Whether anything of these prompts can be compared with the scenario's."""
    queries = scenario.test.queries
    return queries.texts is not None or _same_length(own, queries)


def _comparable(own: OwnPrompts, train: Queries, test: Queries, protocol: str) -> list[list[Queries]]:
    """What to compare: train, test and own prompts, with what all three have."""
    ids = tuple(map(str, range(len(own))))
    ways = []
    if _same_length(own, test):
        texts = own.texts if test.texts is not None else None
        ways.append([train, test, Queries(ids, own.embeddings, texts)])
    if test.texts is not None and train.texts is not None:
        name = best_core()
        every = [*train.texts, *test.texts, *own.texts]
        vectors = embed(EncoderSpec(name).build(protocol), name, every).vectors
        cut = np.split(vectors, np.cumsum([len(train), len(test)]))
        texts_of = (train.texts, test.texts, own.texts)
        ids_of = (train.ids, test.ids, ids)
        ways.append([Queries(*one) for one in zip(ids_of, cut, texts_of, strict=True)])
    return ways


def _same_length(own: OwnPrompts, queries: Queries) -> bool:
    if own.embeddings is None or queries.embeddings is None:
        return False
    return bool(own.embeddings.shape[1] == queries.embeddings.shape[1])


def _joined(parts: Sequence[Queries]) -> Queries:
    """The prompts of all parts, one after the other, with what every part has."""
    ids = tuple(f"{i} {name}" for i, part in enumerate(parts) for name in part.ids)
    vectors = [part.embeddings for part in parts if part.embeddings is not None]
    texts = [part.texts for part in parts if part.texts is not None]
    return Queries(
        ids,
        np.concatenate(vectors) if len(vectors) == len(parts) else None,
        tuple(chain.from_iterable(texts)) if len(texts) == len(parts) else None,
    )
