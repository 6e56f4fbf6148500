"""Every snippet of the README and the documentation runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
RUN = {"python", "bash"}
# shell: what sets up a machine, which .ci/run and `make` do; the others are not commands.
KNOWN = RUN | {"shell", "text", "toml", "bibtex"}


def blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_snippet_of_a_page_runs_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    found = blocks(page)
    monkeypatch.chdir(tmp_path)
    if any("official" in code for kind, code in found if kind in RUN):
        shared = request.getfixturevalue("shared")
        (tmp_path / "official").symlink_to(shared / "data" / "official")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    # As a reader would have it: earlier Python snippets of the page come before later ones.
    python = ""
    for kind, code in found:
        assert kind in KNOWN, f"{page.name} has a block of {kind!r}, which nobody runs"
        if kind == "python":
            name = re.match(r"# (\w+\.py)\n", code)
            if name:
                (tmp_path / name[1]).write_text(code, encoding="utf-8")
            python += code
            command = [sys.executable, "-W", "error", "-c", python]
        elif kind == "bash":
            command = ["bash", "-euo", "pipefail", "-c", code]
        else:
            continue
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{page.name}:\n{code}\n{done.stdout}{done.stderr}"


def test_set_up_commands_are_pip_make_and_git_only() -> None:
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for kind, code in blocks(page):
            if kind == "shell":
                lines = [line.split("#")[0].strip() for line in code.splitlines()]
                assert all(line.split()[0] in {"pip", "make", "git", "cd", "python"} for line in lines if line)


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
