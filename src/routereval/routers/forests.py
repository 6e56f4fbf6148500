"""scikit-learn's forests as arrays, so that they are saved without pickle and walked down in one compiled loop."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routereval.kernels.trees import leaves, mean_values

Forests = dict[str, NDArray[Any]]
"""``roots`` (forests, trees), the others by node; ``left`` is -1 at a leaf."""


def as_arrays(forests: Sequence[Any], value: Callable[[NDArray[np.float64], Any], NDArray[np.float64]]) -> Forests:
    """All nodes of fitted forests with as many trees each, one forest after another.

    Parameters
    ----------
    value : what nodes are worth, (nodes,), from scikit-learn's values of them (nodes, classes) and their forest.
    """
    trees = [(one.tree_, forest) for forest in forests for one in forest.estimators_]
    sizes = np.array([tree.node_count for tree, _ in trees])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32)

    def children(side: str) -> NDArray[np.int32]:
        moved = [
            np.where((of := getattr(tree, side)) < 0, -1, of + start)
            for (tree, _), start in zip(trees, starts, strict=True)
        ]
        return np.concatenate(moved).astype(np.int32)

    return {
        "roots": starts.reshape(len(forests), -1),
        "feature": np.concatenate([tree.feature for tree, _ in trees]).astype(np.int32),
        "threshold": np.concatenate([tree.threshold for tree, _ in trees]),
        "left": children("children_left"),
        "right": children("children_right"),
        "value": np.concatenate([value(tree.value[:, 0], forest) for tree, forest in trees]).astype(np.float32),
    }


def joined(forests: Sequence[Forests]) -> Forests:
    """Forests with as many trees each as one, in this order."""
    starts = np.cumsum([0, *(len(one["left"]) for one in forests[:-1])]).astype(np.int32)
    together = {name: np.concatenate([one[name] for one in forests]) for name in ("feature", "threshold", "value")}
    for name in ("left", "right"):
        moved = [
            np.where(one[name] < 0, one[name], one[name] + start) for one, start in zip(forests, starts, strict=True)
        ]
        together[name] = np.concatenate(moved)
    roots = [one["roots"] + start for one, start in zip(forests, starts, strict=True)]
    return together | {"roots": np.concatenate(roots)}


def some_of(forests: Forests, which: NDArray[np.intp]) -> Forests:
    """These forests alone, in ascending order of their positions, without the nodes of the others."""
    if len(which) == len(forests["roots"]):
        return forests
    starts = np.append(forests["roots"][:, 0], len(forests["feature"]))
    nodes = np.concatenate([np.arange(starts[i], starts[i + 1]) for i in which])
    shift = np.zeros(len(starts), dtype=np.int32)
    sizes = starts[which + 1] - starts[which]
    shift[which] = starts[which] - np.concatenate([[0], np.cumsum(sizes)[:-1]])
    by_node = np.repeat(shift[which], sizes)
    found = {name: values[nodes] for name, values in forests.items() if name != "roots"}
    for side in ("left", "right"):
        found[side] = np.where(found[side] < 0, -1, found[side] - by_node).astype(np.int32)
    return found | {"roots": forests["roots"][which] - shift[which, None]}


def ends(forests: Forests, features: NDArray[np.float32]) -> NDArray[np.int32]:
    """The node each row ends in, (n, all trees)."""
    out = np.empty((len(features), forests["roots"].size), dtype=np.int32)
    _in_blocks(
        lambda block: leaves(
            features[block],
            forests["roots"].ravel(),
            forests["feature"],
            forests["threshold"],
            forests["left"],
            forests["right"],
            out[block],
        ),
        len(out),
    )
    return out


def means_of(forests: Forests, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean over each forest's trees of the value a row ends in, (n, forests)."""
    out = np.empty((len(features), len(forests["roots"])))
    _in_blocks(
        lambda block: mean_values(
            features[block],
            forests["roots"],
            forests["feature"],
            forests["threshold"],
            forests["left"],
            forests["right"],
            forests["value"],
            out[block],
        ),
        len(out),
    )
    return out


def _in_blocks(work: Callable[[slice], None], n: int, size: int = 128) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(work, [slice(start, start + size) for start in range(0, n, size)]))
