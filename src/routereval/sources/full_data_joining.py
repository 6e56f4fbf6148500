"""Models' raw answers joined item by item: one model at a time into arrays that lie on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from routereval.errors import DataError
from routereval.facts import BenchmarkFacts
from routereval.sources.full_data_items import UNNAMED, Items, base_name

Index = NDArray[np.intp]


@dataclass
class _Subset:
    """What is known of one subset's items so far; rows count from its first prompt."""

    name: str
    first: int
    room: int
    longest: int = 0
    row_of_hash: dict[str, int] = field(default_factory=dict)
    hash_of_row: dict[int, str] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)


class Joined:
    """Scores and planes (prompts x models) that models are added to, in files of a folder.

    Items are joined by ``doc_id`` within their subset; by ``doc_hash`` where there is no id; else by position. A model
    with fewer items than others, known by position only, is joined by its prompts' texts where it has them: which of
    the items it lacks is not to be guessed.

    Parameters
    ----------
    models : how many there may be.
    folder : an empty one to keep the arrays in.
    """

    def __init__(self, benchmark: BenchmarkFacts, models: int, folder: Path, metrics: Sequence[str]):
        self._folder = folder
        self._shape = (benchmark.prompts, models)
        self.metrics = metrics
        self._subsets: dict[str, _Subset] = {}
        first = 0
        for name, room in benchmark.subsets.items():
            self._subsets[name] = _Subset(name, first, room)
            first += room
        self._scores = self._array("scores")
        self._planes: dict[str, NDArray[np.float32]] = {}
        self._lengths: dict[int, dict[str, int]] = {}
        self.other_metrics: dict[str, int] = {}
        self.other_documents = 0

    def add(self, model: int, items: Mapping[str, Items]) -> bool:
        """Put a model's items in its column; False where that has to wait for the other models' (:meth:`add_late`).

        Raises
        ------
        DataError : an item that the benchmark has not; the model is not added.
        """
        if any(part.ids is None and part.hashes is not None for part in items.values()):
            return False
        rows = {name: self._rows(self._subsets[name], part) for name, part in items.items()}
        self._put(model, items, rows)
        self._lengths[model] = {name: len(part) for name, part in items.items() if part.ids is None}
        return True

    def doubtful(self) -> list[int]:
        """Models that have fewer items of a subset than others, known by position: to be added once more."""
        return [
            model
            for model, lengths in self._lengths.items()
            if any(length < self._subsets[name].longest for name, length in lengths.items())
        ]

    def add_late(self, model: int, items: Mapping[str, Items]) -> None:
        """Put a model's items in its column, by what the other models' items are.

        Raises
        ------
        DataError : which items they are cannot be told; the model's column is empty then.
        """
        self.remove(model)
        rows = {}
        for name, part in items.items():
            subset = self._subsets[name]
            if part.ids is None and part.hashes is not None:
                rows[name] = _by_hash(subset, part.hashes)
            elif part.ids is None and len(part) < subset.longest and part.texts is not None and subset.texts:
                rows[name] = _by_text(subset, part)
            else:
                rows[name] = self._rows(subset, part)
        self._put(model, items, rows)

    def remove(self, model: int) -> None:
        """Take a model out again."""
        for array in (self._scores, *self._planes.values()):
            array[:, model] = np.nan
        self._lengths.pop(model, None)

    def _rows(self, subset: _Subset, part: Items) -> Index:
        rows = np.arange(len(part)) if part.ids is None else np.asarray(part.ids, dtype=np.intp)
        if len(rows) and (rows.min() < 0 or rows.max() >= subset.room):
            raise DataError(
                f"it has an item {rows.max() if rows.min() >= 0 else rows.min()} of subset {subset.name}, which has "
                f"{subset.room} prompts, counted from 0"
            )
        return rows

    def _put(self, model: int, items: Mapping[str, Items], rows: Mapping[str, Index]) -> None:
        for name, part in items.items():
            subset = self._subsets[name]
            place = subset.first + rows[name]
            self._scores[place, model] = part.scores
            for plane, values in part.planes.items():
                if plane not in self._planes:
                    self._planes[plane] = self._array(f"plane-{len(self._planes)}")
                self._planes[plane][place, model] = values
            self._learn(subset, part, rows[name])
        named = {base_name(part.metric) for part in items.values()} - {*self.metrics, UNNAMED}
        for metric in named:
            self.other_metrics[metric] = self.other_metrics.get(metric, 0) + 1

    def _learn(self, subset: _Subset, part: Items, rows: Index) -> None:
        """Texts and hashes of the subset's rows: the first that are seen, of a longer list rather than a shorter."""
        if len(part) > subset.longest:
            subset.longest = len(part)
            subset.texts.clear()
        other = False
        for i, row in enumerate(rows.tolist()):
            if part.texts is not None and row not in subset.texts and (text := part.text(i)) is not None:
                subset.texts[row] = text
            if part.hashes is not None:
                hash_ = part.hashes[i]
                subset.row_of_hash.setdefault(hash_, row)
                other |= subset.hash_of_row.setdefault(row, hash_) != hash_
        self.other_documents += other

    def _array(self, name: str) -> NDArray[np.float32]:
        # A model's cells lie together, so that adding a model touches little.
        array = np.lib.format.open_memmap(
            self._folder / f"{name}.npy", mode="w+", dtype=np.float32, shape=self._shape, fortran_order=True
        )
        array[:] = np.nan
        return array

    # What came out

    def observed(self) -> tuple[Index, Index]:
        """The prompts and the models of which there is any score."""
        prompts, models = np.zeros(self._shape[0], dtype=np.bool_), np.zeros(self._shape[1], dtype=np.bool_)
        for model in range(self._shape[1]):
            there = ~np.isnan(self._scores[:, model])
            prompts |= there
            models[model] = there.any()
        return np.flatnonzero(prompts), np.flatnonzero(models)

    def scores(self, prompts: Index, models: Index) -> NDArray[np.float32]:
        """The scores of these, nan where there is none."""
        return self._cut("scores", self._scores, prompts, models)

    def planes(self, prompts: Index, models: Index) -> dict[str, NDArray[np.float32]]:
        """The planes of these, as far as anything is known."""
        cut = {
            name: self._cut(f"plane {i}", plane, prompts, models)
            for i, (name, plane) in enumerate(self._planes.items())
        }
        order = ["input_tokens", "output_tokens", *cut]
        return {name: cut[name] for name in dict.fromkeys(order) if name in cut and not np.isnan(cut[name]).all()}

    def texts(self, prompts: Index) -> list[str] | None:
        """The prompts' texts; None where there are none."""
        found = {s.first + row: text for s in self._subsets.values() for row, text in s.texts.items()}
        return [found.get(int(row), "") for row in prompts] if found else None

    def subsets(self, prompts: Index) -> tuple[str, ...]:
        """The subset of each of these prompts."""
        names = [name for name, subset in self._subsets.items() for _ in range(subset.room)]
        return tuple(names[row] for row in prompts)

    def _cut(self, name: str, array: NDArray[np.float32], prompts: Index, models: Index) -> NDArray[np.float32]:
        if (len(prompts), len(models)) == self._shape:
            return array
        out = np.lib.format.open_memmap(
            self._folder / f"cut-{name}.npy",
            mode="w+",
            dtype=np.float32,
            shape=(len(prompts), len(models)),
            fortran_order=True,
        )
        for column, model in enumerate(models):
            out[:, column] = array[prompts, model]
        return out


def _by_hash(subset: _Subset, hashes: Sequence[str]) -> Index:
    """The rows of documents with these hashes; those that no other model has get the rows that are free."""
    free = iter(row for row in range(subset.room) if row not in subset.hash_of_row)
    rows = []
    for hash_ in hashes:
        row = subset.row_of_hash.get(hash_)
        row = next(free, None) if row is None else row
        if row is None:
            raise DataError(f"subset {subset.name} has an item that no other model has, and no room for it")
        rows.append(row)
    return np.array(rows, dtype=np.intp)


def _by_text(subset: _Subset, part: Items) -> Index:
    row_of: dict[str, int | None] = {}
    for row, text in subset.texts.items():
        row_of[text] = None if text in row_of else row
    rows = [row_of.get(part.text(i) or "") for i in range(len(part))]
    found = [row for row in rows if row is not None]
    if len(set(found)) != len(rows):
        raise DataError(
            f"it has {len(part)} items of subset {subset.name}, others {subset.longest}, and its prompts do not say "
            f"which they are ({len(rows) - len(set(found))} are not those of the others)"
        )
    return np.array(found, dtype=np.intp)
