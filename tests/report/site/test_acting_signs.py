"""Signs in names that turn a line around, or act on a terminal that shows a file, are written out on every page."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import routereval as rv
from routereval.report.printable import printable
from routereval.report.site.commands import command_of


def texts(value: Any) -> Iterator[str]:
    """Every text in it, names of fields too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from (name, *texts(one))
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)


@pytest.mark.parametrize("which", ["hostile_report", "credited_report"])
def test_no_page_has_any_and_no_script_is_given_any(which: str, request: pytest.FixtureRequest) -> None:
    report = request.getfixturevalue(which)
    pages = sorted(report.glob("**/*.html"))
    assert len(pages) > 6
    for page in pages:
        text = page.read_text("utf-8")
        assert printable(text, keep="\n") == text, page.name
        for data in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text, flags=re.S):
            for one in texts(json.loads(data)):
                assert printable(one, keep="\n") == one, page.name
    for file in (report / "data").glob("*.csv"):
        text = file.read_text("utf-8")
        assert printable(text, keep="\n\r") == text, file.name


def test_they_are_seen_as_what_they_are(hostile_report: Path) -> None:
    text = (hostile_report / "index.html").read_text("utf-8")
    shown = r"\u202egnp.exe\x1b[31m\x9bred\nProtocol paper; encoder none"
    assert f'data-v="{shown}"' in text
    (data,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text, flags=re.S)
    embedded = json.loads(data)
    assert shown in [label for label, _, _ in embedded["routers"]]
    # The name of a benchmark makes no line of its own among those that say where runs come from.
    stated = {line for board in embedded["boards"].values() for line in board["stated"].split("\n")}
    assert {line.partition("; encoder shipped; seed 0; data ")[0] for line in stated} == {
        "Protocol strict",
        "Protocol paper",
    }


def test_what_makers_say_keeps_its_lines(credited_report: Path) -> None:
    (page,) = (credited_report / "routers").glob("careful-*.html")
    assert "Chooses with care.\nThen rests." in page.read_text("utf-8")
    (page,) = (credited_report / "routers").glob("img-*.html")
    assert r"onload=alert(4)&gt; \u202egnp.exe\x1b[31m\x9bred" in page.read_text("utf-8")


@pytest.mark.parametrize("name", ["a\u202eb 'c'\x1b[31m", "two\nlines \\ \x9b \u2066", "plain 'one'"])
def test_a_command_is_what_it_seems_and_a_shell_reads_the_name_out_of_it(
    name: str, result: Callable[..., rv.RunResult]
) -> None:
    command = command_of(result(f"file:{name}", where="demo_math/all/3").spec)
    assert printable(command) == command
    said = subprocess.run(
        ["bash", "-c", f'export LC_ALL=C.UTF-8; set -- {command}; printf %s "$5"'], capture_output=True, check=True
    )
    assert said.stdout.decode("utf-8") == name
