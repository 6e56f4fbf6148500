"""Imports point one way, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import routereval

PACKAGE = Path(routereval.__file__).parent

# From the bottom up: a module imports from lower layers and from its own package, never from its own layer's siblings.
LAYERS = [
    {"errors", "seeding", "progress", "halving"},
    {"catalogue", "kernels", "facts"},
    {"protocols"},
    {"data"},
    {"metrics", "references", "sources", "encoders", "routers"},
    {"stats", "policies", "union", "datasets"},
    {"tuning"},
    {"results"},
    {"evaluation"},
    {"runner", "report", "verification", "scoring", "scaling", "exporting", "routing", "simulation"},
    {"submissions"},
    {"api"},
    {"cli"},
]
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("routereval"):
            pieces = node.module.split(".")
            names += [pieces[1]] if len(pieces) > 1 else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name.split(".")[1] for alias in node.names if alias.name.startswith("routereval.")]
    return set(names)


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_below(path: Path) -> None:
    here = room_of(path)
    wrong = {
        room
        for room in imported_rooms(path) - {here, "__version__"}
        if LEVEL.get(room, len(LAYERS)) >= LEVEL.get(here, -1)
    }
    assert not wrong, f"{here} (layer {LEVEL.get(here)}) imports {wrong}"


def test_every_room_has_a_layer() -> None:
    assert {room_of(path) for path in MODULES} <= set(LEVEL)


HEAVY = ("numba", "sklearn", "polars", "rich.table", "torch", "matplotlib")


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import routereval", HEAVY),
        # --help and completion wait for no array.
        ("import routereval.cli", ("numpy", *HEAVY)),
        ("import routereval.datasets", HEAVY),
    ],
)
def test_nothing_heavy_is_imported_early(statement: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys; {statement}; print([name for name in {heavy!r} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_every_public_name_can_be_imported() -> None:
    missing = [name for name in routereval.__all__ if getattr(routereval, name, None) is None]
    assert missing == []
