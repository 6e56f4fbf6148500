"""Tables as JSON: an array of objects, each with what its runs have in common, its notes and its numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from routereval.report.formats.tidy import tidy
from routereval.report.paper_tables import PaperTable

_COMMON = ("protocol", "encoder")


def as_json(tables: Iterable[PaperTable]) -> str:
    """The array as text; names are as they are, characters beyond ASCII as escapes."""
    return json.dumps([_object(table) for table in tables], indent=1) + "\n"


def _object(table: PaperTable) -> dict[str, Any]:
    return {
        "title": table.title,
        "by": table.by,
        "protocol": table.key.protocol,
        "encoder": table.key.encoder,
        "seeds": list(table.seeds),
        "data_hash": {one.benchmark: one.data_hash for one in table.across},
        "versions": {name: list(found) for name, found in table.versions.items()},
        "metrics": list(table.metrics),
        "across": [{"key": one.key, "title": one.title, "prompts": one.prompts} for one in table.across],
        "notes": list(table.notes),
        "numbers": [{k: v for k, v in vars(row).items() if k not in _COMMON} for row in tidy(table)],
    }
