"""Data files of published facts, and their readers: benchmarks, suites, published results."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

_HERE = files("routereval.facts")


@dataclass(frozen=True)
class BenchmarkFacts:
    """What is published of one benchmark.

    Parameters
    ----------
    key, title : how files and ids name it; how tables show it.
    leaderboard : the list of models it was run on.
    models, prompts : how many there are of each in the complete data.
    subsets : name of each part to its number of prompts, in the published order.
    reference_model, reference_score : Perf(ref), the fixed strong model.
    citation : whom to cite.
    """

    key: str
    title: str
    leaderboard: str
    models: int
    subsets: Mapping[str, int]
    reference_model: str
    reference_score: float
    citation: str

    @property
    def prompts(self) -> int:
        """How many prompts the complete benchmark has."""
        return sum(self.subsets.values())


@dataclass(frozen=True)
class PublishedRow:
    """One published cell: the mean over the three strategies of one router on one benchmark and pool size."""

    mu: float
    V_R: float
    V_B: float
    E_p: float


@cache
def benchmarks() -> dict[str, BenchmarkFacts]:
    """The twelve published benchmarks by key."""
    raw = _read("benchmarks.json")
    return {
        key: BenchmarkFacts(key=key, citation=raw["citation"]["text"], **facts)
        for key, facts in raw["benchmarks"].items()
    }


@cache
def suites() -> dict[str, dict[str, Any]]:
    """Named lists of scenarios: what each is about, which benchmarks and which pool sizes."""
    return dict(_read("suites.json"))


@dataclass(frozen=True)
class DownloadFacts:
    """Where the published files are.

    Parameters
    ----------
    repository, revision : of the Hugging Face dataset, pinned.
    sets : files by what one asks for; about : what each set is.
    folders : by what one asks for, the folders whose files nobody published a list of; the repository is asked.
    sha256 : by file, where it is known.
    """

    repository: str
    revision: str
    sets: Mapping[str, list[str]]
    folders: Mapping[str, list[str]]
    about: Mapping[str, str]
    sha256: Mapping[str, str]


@cache
def downloads() -> DownloadFacts:
    """Where the published files are, and what they hash to."""
    raw = _read("downloads.json")
    folders: dict[str, list[str]] = {}
    for name, one in raw["folders"].items():
        folders[name] = [f"{name}/{folder}" for folder in one["below"]]
        folders |= {folder: [folder] for folder in folders[name]}
    return DownloadFacts(
        raw["repository"],
        raw["revision"],
        {name: one["files"] for name, one in raw["sets"].items()},
        folders,
        {name: one["about"] for name, one in (raw["sets"] | raw["folders"]).items()},
        raw["sha256"],
    )


@dataclass(frozen=True)
class FullDataFacts:
    """Where a benchmark's raw answers are.

    Parameters
    ----------
    folder : below ``full_data``.
    metrics : what the leaderboard's score of an item may be called in them.
    """

    folder: str
    metrics: tuple[str, ...]


@cache
def full_data() -> dict[str, FullDataFacts]:
    """Where each benchmark's raw answers are, by its key."""
    return {key: FullDataFacts(one["folder"], tuple(one["metrics"])) for key, one in _read("full_data.json").items()}


@cache
def published_results() -> dict[tuple[str, int, str], PublishedRow]:
    """The published results by (benchmark, m, router); routers by our names.

    Rows that cannot be right are left out (HellaSwag, m = 10, MLP has an E_p above log2 10).
    """
    rows = {}
    with (_HERE / "published_results.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            router = _OUR_NAMES.get(row["router"], row["router"])
            cell = (row["benchmark"], int(row["m"]), router)
            if cell not in _IMPOSSIBLE:
                rows[cell] = PublishedRow(*(float(row[name]) for name in ("mu", "V_R", "V_B", "E_p")))
    return rows


@cache
def published_scaling() -> dict[tuple[str, float], dict[int, float]]:
    """The published scaling curves: by (benchmark, p) the mean score of r_o(p) for each size.

    Read off the published figures, good to about 0.005, thinned to sizes of 1, 2 and 5 times powers of ten and the
    last; p = 1 is the oracle, p = 0 chance.
    """
    curves: dict[tuple[str, float], dict[int, float]] = {}
    with (_HERE / "published_scaling.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            benchmark, m = row.pop("benchmark"), int(row.pop("m"))
            for share, mu in row.items():
                if mu:
                    curves.setdefault((benchmark, float(share)), {})[m] = float(mu)
    return curves


_OUR_NAMES = {"roberta_cluster": "kmeans", "roberta_MLC": "mlc", "r_o_0.5": "r_o:p=0.5"}
_IMPOSSIBLE = {("hellaswag", 10, "mlp")}


def _read(name: str) -> Any:
    return json.loads((_HERE / name).read_text(encoding="utf-8"))
