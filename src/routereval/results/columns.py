"""A few columns of the per-prompt values of many runs, and nothing else: reports over a whole file read these."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from routereval.results.damage import DAMAGE, array, texts


@dataclass(frozen=True, eq=False)
class RunColumns:
    """Some per-prompt values of one run.

    Parameters
    ----------
    counted : (n,) which prompts count.
    columns : (n,) float64 each, by name; those that the run does not have are absent.
    damage : why nothing can be made of what is stored, else empty.
    """

    key: str
    counted: NDArray[np.bool_]
    columns: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    damage: str = ""


def get(connection: sqlite3.Connection, keys: Collection[str], names: Sequence[str]) -> Iterator[RunColumns]:
    """These columns of the runs with these keys, in any order; runs that failed are left out."""
    query = (
        "SELECT key, columns, prompts, counted, per_prompt FROM runs "
        "WHERE key IN (SELECT value FROM json_each(?)) AND error IS NULL"
    )
    layouts: dict[str, dict[str, int]] = {}
    cursor = connection.cursor()
    cursor.execute(query, (json.dumps([*keys]),))
    for key, columns, n, counted, per_prompt in cursor:
        try:
            if columns not in layouts:
                layouts[columns] = {name: i for i, name in enumerate(texts(columns))}
            layout = layouts[columns]
            values = array(per_prompt, np.float64, (len(layout) * n,)).reshape(len(layout), n)
            which = array(counted, np.uint8, (n,)).astype(np.bool_)
        except DAMAGE as error:
            yield RunColumns(str(key), np.zeros(0, dtype=np.bool_), damage=f"{type(error).__name__}: {error}")
            continue
        yield RunColumns(key, which, {name: values[layout[name]] for name in names if name in layout})
