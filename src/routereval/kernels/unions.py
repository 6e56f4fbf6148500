"""The OR over rows of bits and how many bits are set in it: the oracle of binary scores; NumPy twins are in the tests.

The bits of a large benchmark do not fit into the processor's caches, so every loop here passes over them in order, a
few rows at a time, and does all it has to do with these rows before it goes on.
"""

from __future__ import annotations

import numpy as np

from routereval.kernels.compiling import Ints, Words, compiled

AT_ONCE = 128
"""How many choices of rows :func:`union_counts` should be given at a time: more unions do not fit into the cache."""

_ROWS = 64
_WINDOWS = 96
_WORDS = 256
_UNROLLED = 16
"""Rows, windows and words worked on at a time, by trials; loops over a multiple of 16 words have no remainder."""


@compiled
def _set_bits(word: np.uint64) -> np.int64:
    """How many bits are set in one word; compilers know this form and use what the processor has for it."""
    x = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@compiled
def _popcount(words: Words) -> np.int64:
    """How many bits are set."""
    total = np.int64(0)
    for k in range(words.shape[0]):
        total += _set_bits(words[k])
    return total


@compiled
def _add(union: Words, row: Words) -> None:
    """One more row in a union."""
    for k in range(union.shape[0]):
        union[k] |= row[k]


@compiled
def _copy(to: Words, row: Words) -> None:
    """As ``to[:] = row``, which takes several times as long when compiled."""
    for k in range(to.shape[0]):
        to[k] = row[k]


@compiled
def union_counts(bits: Words, index: Ints, out: Ints) -> None:
    """How many bits are set in the OR of some rows, for each choice of rows.

    Parameters
    ----------
    bits : (M, words).
    index : (choices, m) positions of rows, in any order; fastest where they ascend.
    out : (choices,), overwritten.
    """
    if index.size < 3 * bits.shape[0]:  # so few that going over all rows would take longer
        union = np.empty(bits.shape[1], dtype=np.uint64)
        for d in range(index.shape[0]):
            union[:] = np.uint64(0)
            for j in range(index.shape[1]):
                _add(union, bits[index[d, j]])
            out[d] = _popcount(union)
        return
    out[:] = 0
    parts = -(-bits.shape[1] // _WORDS)
    for part in range(parts):
        _add_union_counts(bits, index, bits.shape[1] * part // parts, bits.shape[1] * (part + 1) // parts, out)


@compiled
def _add_union_counts(bits: Words, index: Ints, first: int, last: int, out: Ints) -> None:
    """Add what is set in words ``first`` to ``last - 1`` of the ORs, all choices together, tile of rows by tile.

    A row comes from memory once, not once for each choice that has it.
    """
    rows, (choices, m), words = bits.shape[0], index.shape, last - first
    padded = -(-words // _UNROLLED) * _UNROLLED
    unions = np.zeros((choices, padded), dtype=np.uint64)
    tile = np.zeros((_ROWS, padded), dtype=np.uint64)
    done = np.zeros(choices, dtype=np.int64)
    for start in range(0, rows, _ROWS):
        stop = min(rows, start + _ROWS)
        for i in range(start, stop):
            _copy(tile[i - start, :words], bits[i, first:last])
        for d in range(choices):
            # Up to the first member beyond this tile. One of an earlier tile comes late where members do not ascend.
            end = done[d]
            while end < m and start <= index[d, end] < stop:
                end += 1
            _add_rows(unions[d], tile, index[d, done[d] : end], start)
            while end < m and index[d, end] < stop:
                _add(unions[d, :words], bits[index[d, end], first:last])
                end += 1
            done[d] = end
    for d in range(choices):
        out[d] += _popcount(unions[d])


@compiled
def _add_rows(union: Words, tile: Words, members: Ints, start: int) -> None:
    """Add the members' rows to a union, four at a time, so that the union itself is read and written less often."""
    j = 0
    while j + 3 < members.shape[0]:
        a, b = tile[members[j] - start], tile[members[j + 1] - start]
        c, d = tile[members[j + 2] - start], tile[members[j + 3] - start]
        for k in range(union.shape[0]):
            union[k] |= a[k] | b[k] | c[k] | d[k]
        j += 4
    for one in members[j:]:
        _add(union, tile[one - start])


@compiled
def window_union_counts(bits: Words, m: int, out: Ints) -> None:
    """How many bits are set in the OR of rows i to i + m - 1, for each i; about as many ORs whatever m is.

    Windows are taken in groups that begin in one short block of rows. Such a window is the end of that block, what all
    windows of the group have in common, and the beginning of the block m rows on. The ORs of all ends and of all
    beginnings are running ones (van Herk 1992; Gil and Werman 1993, with blocks of m rows); the common part is made of
    the ORs of earlier beginnings, once complete.

    Parameters
    ----------
    bits : (M, words).
    out : (M - m + 1,), overwritten.
    """
    rows, words = bits.shape
    blocks = max(1, (m + _WINDOWS // 2) // _WINDOWS)
    size = m // blocks
    # ORs of the blocks that end with the group's first window; the oldest is overwritten by the next.
    recent = np.zeros((blocks - 1, words), dtype=np.uint64)
    for i in range((blocks - 1) * size):
        _add(recent[i // size], bits[m - (blocks - 1) * size + i])
    ends = np.empty((size, words), dtype=np.uint64)
    begun = np.empty(words, dtype=np.uint64)
    for start in range(0, rows - m + 1, size):
        # In two passes, since memory is read faster forwards.
        for i in range(size):
            _copy(ends[i], bits[start + i])
        for i in range(start + size, start + m - (blocks - 1) * size):
            _add(ends[size - 1], bits[i])
        for i in range(blocks - 1):
            _add(ends[size - 1], recent[i])
        for i in range(size - 2, -1, -1):
            _add(ends[i], ends[i + 1])
        begun[:] = np.uint64(0)
        for i in range(min(size, rows - m + 1 - start)):
            row = bits[min(start + m + i, rows - 1)]
            end = ends[i]
            total = np.int64(0)
            for k in range(words):
                word = begun[k]
                total += _set_bits(end[k] | word)
                begun[k] = word | row[k]
            out[start + i] = total
        if blocks > 1:
            _copy(recent[start // size % (blocks - 1)], begun)


@compiled
def greedy_union(bits: Words, m: int, out: Ints) -> None:
    """Choose m rows one by one, each the one that adds most bits to the OR so far; the last wins ties.

    What a row adds only shrinks as the OR grows, so a row whose last known gain is below the best found need not be
    counted again (lazy greedy, Minoux 1978).

    Parameters
    ----------
    bits : (M, words), M >= m.
    out : (m,) positions in the order of choice; overwritten.
    """
    rows, words = bits.shape
    union = np.zeros(words, dtype=np.uint64)
    fresh = np.empty(words, dtype=np.uint64)
    gains = np.full(rows, np.int64(words * 64 + 1))
    for step in range(m):
        best = -1
        best_gain = np.int64(-1)
        for i in range(rows - 1, -1, -1):
            if gains[i] > best_gain:
                for k in range(words):
                    fresh[k] = bits[i, k] & ~union[k]
                gains[i] = _popcount(fresh)
                if gains[i] > best_gain:
                    best, best_gain = i, gains[i]
        out[step] = best
        gains[best] = np.int64(-2)
        for k in range(words):
            union[k] |= bits[best, k]
