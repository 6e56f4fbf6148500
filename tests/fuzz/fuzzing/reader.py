"""What is fuzzed: a function that reads a folder and makes use of what it finds, with inputs to begin from."""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing.files import Files
from routereval.data.benchmark import BenchmarkData


@dataclass(frozen=True)
class Reader:
    """One reader.

    Parameters
    ----------
    name : on the command line, in the table and of the folder of its corpus.
    read : reads the files in a folder; whatever is not kept of the promise shows there.
    seeds : valid files, made in an empty folder where they have to be made on disk.
    """

    name: str
    read: Callable[[Path], None]
    seeds: Callable[[Path], list[Files]]


def together(name: str, *readers: Reader) -> Reader:
    """Several small readers as one: each input has the files of one of them, and the others find none."""

    def read(place: Path) -> None:
        for reader in readers:
            reader.read(place)

    return Reader(name, read, lambda work: [files for reader in readers for files in reader.seeds(work)])


def own_home(place: Path) -> None:
    """A store of this input's own, beside its files."""
    os.environ["ROUTEREVAL_HOME"] = str(place.parent / "home")


def first(place: Path, *patterns: str) -> Path | None:
    """The first file with such a name."""
    return next((path for pattern in patterns for path in sorted(place.glob(pattern)) if path.is_file()), None)


def lines_of(path: Path | None) -> list[str]:
    """The lines of a file, as a shell would hand them over; none where there is no file."""
    if path is None:
        return []
    return [line for line in path.read_bytes().decode("utf-8", "surrogateescape").split("\n") if line]


def used(data: BenchmarkData, *, checked: bool = True) -> None:
    """Look at everything in the data of a benchmark, as a run would.

    Parameters
    ----------
    checked : whether the numbers themselves were looked at when they were read; of a folder of the store checksums say
        whether they are those that were written.
    """
    scores = data.scores
    dense = scores.dense()
    assert dense.shape == (len(scores.prompt_ids), len(scores.model_ids)) == scores.shape, "another shape than names"
    known = dense[~np.isnan(dense)]
    assert not checked or ((known >= 0) & (known <= 1)).all(), "scores outside of [0, 1]"
    assert all(isinstance(name, str) for name in (*scores.prompt_ids, *scores.model_ids, *data.missing)), "names"
    repr((data, scores.model_means, scores.coverage, scores.oracle_mean))
    assert all(isinstance(text, str) for text in data.queries.texts or ()), "texts that are none"
    if data.queries.embeddings is not None:
        assert data.queries.embeddings.dtype == np.float32, "embeddings that are none"
        float(data.queries.embeddings.sum(dtype=np.float64))
    for name, plane in data.planes.items():
        assert plane.dtype == np.float32, f"plane {name} of {plane.dtype}"
        np.nan_to_num(plane).max()
    for strategy, m in list(data.pools)[:3]:
        scenario = data.scenario(strategy, m)
        repr((str(scenario), scenario.train.targets.shape, scenario.test.queries.ids))


def pickled(value: Any, protocol: int = 4) -> bytes:
    """A value as a pickle."""
    return pickle.dumps(value, protocol)


def array_file(values: Any) -> bytes:
    """An array as a .npy file."""
    out = io.BytesIO()
    np.save(out, np.asarray(values), allow_pickle=False)
    return out.getvalue()


def json_lines(rows: Iterable[Any]) -> bytes:
    """Rows as JSON, one a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def read_back(folder: Path) -> Files:
    """The files that something has written to a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
