"""The wheel: everything of the package is in it, and the command makes a report out of it alone."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import routereval as rv

hatchling = pytest.importorskip("hatchling.builders.wheel", reason="pip install 'routereval[dev]' brings hatchling")

ROOT = Path(__file__).parents[1]
REPORT = """
import sys, routereval
from routereval.cli import main
print(routereval.__file__)
sys.argv = ["routereval", "report", *sys.argv[1:]]
main()
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    (wheel,) = hatchling.WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_every_file_of_the_package_is_in_it(unpacked: Path) -> None:
    source = ROOT / "src"
    ours = {path.relative_to(source) for path in (source / "routereval").rglob("*") if path.is_file()}
    shipped = {path.relative_to(unpacked) for path in (unpacked / "routereval").rglob("*") if path.is_file()}
    assert {path for path in ours if "__pycache__" not in path.parts} == shipped
    kinds = {path.suffix for path in shipped if path.is_relative_to("routereval/report/site")}
    assert kinds == {".py", ".j2", ".css", ".js"}


def test_report_works_from_it_alone(unpacked: Path, tmp_path: Path) -> None:
    rv.run(["demo_math/all_strong/3"], ["knn", "best_single"], results=tmp_path / "runs.sqlite")
    command = [sys.executable, "-c", REPORT, str(tmp_path / "runs.sqlite"), "--out", "out", "--only-pages"]
    environment = os.environ | {"PYTHONPATH": str(unpacked)}
    made = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert made.stdout.splitlines()[0].startswith(str(unpacked))
    assert (tmp_path / "out/assets/site.css").stat().st_size > 0
    assert "Leaderboard" in (tmp_path / "out/index.html").read_text("utf-8")
