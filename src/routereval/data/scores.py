"""Scores of models on prompts: binary ones packed into bits, graded ones as float32, cells may be missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from routereval.data.part_files import cut_out
from routereval.errors import DataError

_WORD_BITS = 64
_BLOCK = 256


Array = TypeVar("Array", bound=np.ndarray[Any, Any])


def read_only(values: Array) -> Array:
    """The same values, not to be written through: many routers are given them, one after another."""
    if not values.flags.writeable:
        return values
    view = values.view()
    view.setflags(write=False)
    return view


def pack(flags: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Booleans (n prompts, m models) as bits: one row of ceil(n / 64) words per model, prompt j at bit j."""
    n, m = flags.shape
    words = -(-n // _WORD_BITS)
    padded = np.zeros((m, words * 8), dtype=np.uint8)
    packed = np.packbits(flags.T, axis=1, bitorder="little")
    padded[:, : packed.shape[1]] = packed
    return padded.view(np.uint64)


def unpack(bits: NDArray[np.uint64], n: int) -> NDArray[np.uint8]:
    """The inverse of :func:`pack`: zeros and ones (n prompts, m models), columns contiguous."""
    as_bytes = np.ascontiguousarray(bits).view(np.uint8)
    return np.unpackbits(as_bytes, axis=1, count=n, bitorder="little").T


def _pick(bits: NDArray[np.uint64], index: NDArray[np.intp]) -> NDArray[np.uint64]:
    """The bits at these positions of each row, a block of rows at a time so that little is unpacked at once."""
    picked = np.zeros((len(bits), -(-len(index) // _WORD_BITS) * 8), dtype=np.uint8)
    for start in range(0, len(bits), _BLOCK):
        rows = np.ascontiguousarray(bits[start : start + _BLOCK]).view(np.uint8)
        flags = np.take(np.unpackbits(rows, axis=1, bitorder="little"), index, axis=1)
        packed = np.packbits(flags, axis=1, bitorder="little")
        picked[start : start + _BLOCK, : packed.shape[1]] = packed
    return picked.view(np.uint64)


@dataclass(frozen=True, eq=False, repr=False)
class ScoreMatrix:
    """Scores of m models on n prompts, each in [0, 1], missing cells allowed.

    Build one with :meth:`from_dense`. Exactly one of ``bits`` and ``values`` is set.

    Parameters
    ----------
    prompt_ids, model_ids : n and m names.
    bits : binary scores, one row of 64-bit words per model (``pack``).
    observed : which cells of ``bits`` were observed, packed alike; None means all.
    values : graded scores (n, m) float32, nan where not observed.
    """

    prompt_ids: tuple[str, ...]
    model_ids: tuple[str, ...]
    bits: NDArray[np.uint64] | None = None
    observed: NDArray[np.uint64] | None = None
    values: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        for name in ("bits", "observed", "values"):
            held = getattr(self, name)
            if held is not None:
                object.__setattr__(self, name, read_only(held))

    @classmethod
    def from_dense(
        cls,
        values: ArrayLike,
        prompt_ids: Sequence[str],
        model_ids: Sequence[str],
        *,
        missing: bool = False,
    ) -> ScoreMatrix:
        """Check and pack scores (n prompts, m models); binary ones become bits.

        Parameters
        ----------
        missing : whether nan means "not observed"; otherwise nan is an error.

        Raises
        ------
        DataError : a wrong shape, infinite scores, scores outside [0, 1], or nan without ``missing``.
        """
        dense = np.asarray(values)
        if dense.dtype.kind not in "biuf":
            raise DataError(f"scores have dtype {dense.dtype}; expected numbers")
        expected = (len(prompt_ids), len(model_ids))
        if dense.shape != expected:
            raise DataError(f"scores have shape {dense.shape}, ids say {expected} (prompts x models)")
        prompts, models = tuple(map(str, prompt_ids)), tuple(map(str, model_ids))
        if dense.dtype == np.bool_:
            return cls(prompts, models, bits=pack(dense))
        if dense.dtype.kind in "iu":
            dense = dense.astype(np.float64)
        hole = np.isnan(dense)
        _check_cells(dense, hole, prompt_ids, model_ids, missing)
        has_holes = bool(hole.any())
        binary = bool(np.all((dense == 0) | (dense == 1) | hole))
        if binary:
            observed = pack(~hole) if has_holes else None
            return cls(prompts, models, bits=pack(dense == 1), observed=observed)
        return cls(prompts, models, values=np.ascontiguousarray(dense, dtype=np.float32))

    def __repr__(self) -> str:
        kind = "binary" if self.binary else "graded"
        holes = "" if self.complete else f", {self.coverage:.1%} observed"
        return f"ScoreMatrix({self.shape[0]} prompts x {self.shape[1]} models, {kind}{holes})"

    @property
    def shape(self) -> tuple[int, int]:
        """Prompts and models."""
        return len(self.prompt_ids), len(self.model_ids)

    @property
    def binary(self) -> bool:
        """Whether every observed score is 0 or 1."""
        return self.bits is not None

    @cached_property
    def complete(self) -> bool:
        """Whether every cell was observed."""
        if self.values is not None:
            return not bool(np.isnan(self.values).any())
        return self.observed is None

    @cached_property
    def coverage(self) -> float:
        """The share of the cells that were observed."""
        return float(self.counts.sum() / max(1, self.shape[0] * self.shape[1]))

    def dense(self) -> NDArray[np.float32]:
        """Scores (n, m) float32, nan where not observed."""
        if self.values is not None:
            return self.values
        assert self.bits is not None
        n = self.shape[0]
        dense = unpack(self.bits, n).astype(np.float32)
        if self.observed is not None:
            dense[unpack(self.observed, n) == 0] = np.nan
        return dense

    def mask(self) -> NDArray[np.bool_]:
        """Which cells were observed, (n, m)."""
        if self.values is not None:
            return ~np.isnan(self.values)
        if self.observed is None:
            return np.ones(self.shape, dtype=np.bool_)
        return unpack(self.observed, self.shape[0]).astype(np.bool_)

    def observed_bits(self) -> NDArray[np.uint64]:
        """Which cells were observed, packed like ``bits``."""
        return pack(self.mask()) if self.observed is None else self.observed

    def rows(self, index: NDArray[np.intp]) -> ScoreMatrix:
        """The prompts at these positions, in this order."""
        if len(index) and int(np.min(index)) < 0:
            raise DataError(f"{int(np.min(index))} is no position of a prompt; they count from 0")
        prompts = tuple(self.prompt_ids[i] for i in index)
        if self.values is not None:
            return ScoreMatrix(prompts, self.model_ids, values=cut_out(self.values, index))
        assert self.bits is not None
        observed = None if self.observed is None else cut_out(self.observed, index, _pick)
        return _binary(prompts, self.model_ids, cut_out(self.bits, index, _pick), observed)

    def models(self, model_ids: Sequence[str]) -> ScoreMatrix:
        """The columns of these models, in this order.

        Raises
        ------
        DataError : a model that is not there.
        """
        unknown = [name for name in model_ids if name not in self._column_of]
        if unknown:
            raise DataError(f"{len(unknown)} models have no scores: {', '.join(unknown[:5])}")
        return self.columns(np.array([self._column_of[name] for name in model_ids], dtype=np.intp))

    def columns(self, index: NDArray[np.intp]) -> ScoreMatrix:
        """The models at these positions, in this order."""
        models = tuple(self.model_ids[i] for i in index)
        if self.values is not None:
            return ScoreMatrix(self.prompt_ids, models, values=np.ascontiguousarray(self.values[:, index]))
        assert self.bits is not None
        observed = None if self.observed is None else self.observed[index]
        return _binary(self.prompt_ids, models, self.bits[index], observed)

    @cached_property
    def model_means(self) -> NDArray[np.float64]:
        """Mean score of each model over the prompts it was observed on, (m,); nan where there is none."""
        if self.values is not None:
            # One contiguous row per model, so that a model's sum does not depend on which others are there.
            by_model = np.ascontiguousarray(self.values.T, dtype=np.float64)
            sums = np.nansum(by_model, axis=1)
        else:
            assert self.bits is not None
            sums = np.bitwise_count(self.bits).sum(axis=1, dtype=np.int64).astype(np.float64)
        counts = self.counts
        means = np.full(len(counts), np.nan)
        np.divide(sums, counts, out=means, where=counts > 0)
        return means

    @cached_property
    def oracle_mean(self) -> float:
        """Mean over prompts of the best observed score; prompts that no model was observed on do not count."""
        n = self.shape[0]
        if self.values is not None:
            best = np.fmax.reduce(self.values, axis=1).astype(np.float64)
            return float(np.nanmean(best)) if np.isfinite(best).any() else float("nan")
        assert self.bits is not None
        solved = int(np.bitwise_count(np.bitwise_or.reduce(self.bits, axis=0)).sum())
        if self.observed is not None:
            n = int(np.bitwise_count(np.bitwise_or.reduce(self.observed, axis=0)).sum())
        return solved / n if n else float("nan")

    @cached_property
    def _column_of(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.model_ids)}

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """On how many prompts each model was observed, (m,)."""
        n, m = self.shape
        if self.values is not None:
            counts: NDArray[np.int64] = np.sum(~np.isnan(self.values), axis=0, dtype=np.int64)
        elif self.observed is None:
            counts = np.full(m, n, dtype=np.int64)
        else:
            counts = np.bitwise_count(self.observed).sum(axis=1, dtype=np.int64)
        return counts


def _binary(
    prompt_ids: tuple[str, ...],
    model_ids: tuple[str, ...],
    bits: NDArray[np.uint64],
    observed: NDArray[np.uint64] | None,
) -> ScoreMatrix:
    """A binary matrix that forgets its mask where nothing is missing in it."""
    if observed is not None and int(np.bitwise_count(observed).sum()) == len(prompt_ids) * len(model_ids):
        observed = None
    return ScoreMatrix(prompt_ids, model_ids, bits=bits, observed=observed)


def _check_cells(
    dense: NDArray[np.floating],
    hole: NDArray[np.bool_],
    prompt_ids: Sequence[str],
    model_ids: Sequence[str],
    missing: bool,
) -> None:
    problems = []
    for what, bad in (
        ("are nan; leave a cell out if it was not observed", hole if not missing else None),
        ("are infinite", np.isinf(dense)),
        ("lie outside [0, 1]; rescale them", ((dense < 0) | (dense > 1)) & ~np.isinf(dense)),
    ):
        if bad is not None and bad.any():
            row, column = np.argwhere(bad)[0]
            first = f"prompt {str(prompt_ids[row])!r}, model {str(model_ids[column])!r}: {dense[row, column]:g}"
            problems.append(f"{int(bad.sum())} of {dense.size} scores {what} (first: {first})")
    if problems:
        raise DataError("; ".join(problems))
