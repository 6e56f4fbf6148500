"""Folders that ``routereval build`` wrote: one benchmark each, opened as they are."""

from __future__ import annotations

from pathlib import Path

from routereval.data.benchmark import BenchmarkData
from routereval.data.checking import ensure_whole
from routereval.data.folders import open_folder
from routereval.errors import DataError


def benchmarks(root: Path) -> list[str]:
    """The benchmarks in a folder, by name."""
    return [meta.parent.name for meta in sorted(root.glob("[!.]*/meta.json"))] if root.is_dir() else []


def load(key: str, root: Path) -> BenchmarkData:
    """One benchmark, memory-mapped.

    Raises
    ------
    DataError : the folder is damaged, or another benchmark's under this name.
    """
    ensure_whole(root / key)
    data = open_folder(root / key)
    if data.benchmark != key:
        raise DataError(f"{root / key} holds {data.benchmark}; a folder must have its benchmark's name")
    return data
