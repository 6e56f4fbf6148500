"""Submitted routers: whose they are stands on the pages, and leads nowhere but to web addresses."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import routereval as rv
from routereval.report.site.building import build_site
from routereval.report.site.credits import credit
from routereval.results.submitted import Submission, put_submission

Stored = Callable[[Path, Sequence[rv.RunResult]], Path]
Result = Callable[..., rv.RunResult]


class Links(HTMLParser):
    """Every link of a page that leads elsewhere, and elements that nobody put there."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.tags: set[str] = set()
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        given = dict(attrs)
        if tag == "a" and ":" in (given.get("href") or ""):
            self.found.append(given)


def test_pages_name_the_authors_and_link_to_web_addresses_only(credited_report: Path) -> None:
    pages = [credited_report / "index.html", *(credited_report / "routers").glob("*.html")]
    linked = {page.name.rsplit("-", 1)[0]: Links(page) for page in pages}
    assert {name: [link["href"] for link in page.found] for name, page in linked.items() if page.found} == {
        "index.html": ["https://example.org/code?a=1&b=2"],
        "careful": ["https://example.org/code?a=1&b=2"],
    }
    for link in (link for page in linked.values() for link in page.found):
        assert {"noopener", "noreferrer"} <= set((link["rel"] or "").split())
    assert not {"img", "b", "svg"} & set().union(*(page.tags for page in linked.values()))
    text = (credited_report / "index.html").read_text("utf-8")
    assert "Ada Example, Bob Example" in text
    assert "&lt;img src=x onerror=alert(3)&gt; and 2 others" in text
    (page,) = (credited_report / "routers").glob("careful-*.html")
    shown = page.read_text("utf-8")
    for said in ("Chooses with care.", "nothing &amp; nobody", "2026-01-31", "no, say its makers"):
        assert said in shown, said
    assert "7 prompts are near-identical" in shown


def test_runs_of_another_predictions_file_are_nobodys(tmp_path: Path, result: Result, stored: Stored) -> None:
    path = stored(tmp_path, [result("file:ours", params={"sha256": "1" * 64}), result("knn")])
    put_submission(path, Submission("file:ours", "2" * 64, {"authors": ["Ada"]}))
    build_site(path, tmp_path / "out")
    assert "Ada" not in (tmp_path / "out/index.html").read_text("utf-8")


def test_a_damaged_submission_is_named_and_costs_no_page(tmp_path: Path, result: Result, stored: Stored) -> None:
    path = stored(tmp_path, [result("file:ours", params={"sha256": "1" * 64}), result("knn")])
    put_submission(path, Submission("file:ours", "1" * 64, {"authors": ["Ada"]}))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE submissions SET metadata = '{'")
    build_site(path, tmp_path / "out")
    assert "the submission &#39;file:ours&#39; is damaged" in (tmp_path / "out/about.html").read_text("utf-8")


def test_few_authors_are_named_many_are_counted_and_signs_that_act_are_written_out() -> None:
    def by(*authors: Any) -> str:
        return credit(Submission("file:x", "1" * 64, {"authors": list(authors)})).by

    assert [by(), by("Ada"), by("Ada", "Bob"), by("Ada", "Bob", "Eve")] == ["", "Ada", "Ada, Bob", "Ada and 2 others"]
    assert by("a\u202eb") == "a\\u202eb"
    assert by("x" * 50) == "x" * 39 + "…"
    assert credit(Submission("file:x", "1" * 64, {"authors": {"no": "list"}})).by == "{'no': 'list'}"
