"""The report in a real Chromium: sorting, filters, colours, phones, hostile names, accessibility; nothing leaves."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routereval.report.site.building import build_site

playwright = pytest.importorskip("playwright.sync_api", reason="pip install 'routereval[dev]' brings playwright")
axe = pytest.importorskip("axe_playwright_python.base", reason="pip install 'routereval[dev]' brings axe")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        sandbox = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
        found = started.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield found
        found.close()


class Watched:
    """A page from disk, and everything about it that should not happen."""

    def __init__(self, browser: Any, **context: Any):
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | context)
        self.context.set_default_timeout(60_000)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("console", lambda message: self.faults.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("request", self._asked)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.faults.append(f"asked for {request.url}")

    def open(self, path: Path, part: str = "") -> Any:
        self.page.goto("about:blank")
        self.page.goto(path.as_uri() + part)
        return self.page

    def draw(self) -> None:
        """Scroll past every chart, so that all are drawn."""
        for plot in self.page.locator(".plot").all():
            plot.scroll_into_view_if_needed()
            plot.locator(".main-svg").first.wait_for()


@pytest.fixture(scope="module")
def desktop(browser: Any) -> Iterator[Watched]:
    watched = Watched(browser, color_scheme="light")
    yield watched
    watched.context.close()


@pytest.fixture(autouse=True)
def no_faults(desktop: Watched) -> Iterator[None]:
    desktop.faults.clear()
    yield
    assert desktop.faults == []


def kinds_of_pages(report: Path) -> list[Path]:
    """One page of each kind, with the most in it."""
    biggest = (max((report / kind).glob("*.html"), key=lambda path: path.stat().st_size) for kind in KINDS)
    return [*(report / f"{name}.html" for name in ("index", "benchmarks", "failures", "about")), *biggest]


KINDS = ("benchmarks", "routers")


def column(page: Any, group: str, cell: int) -> list[str]:
    """The first line of each cell."""
    rows = f"#board tbody[data-group={group}] tr:not(.group)"
    cells: list[str] = page.evaluate(
        """([rows, cell]) => Array.from(document.querySelectorAll(rows),
            row => row.cells[cell].innerText.split('\\n')[0])""",
        [rows, cell],
    )
    return cells


def test_a_table_sorts_by_its_buttons_and_says_so(desktop: Watched, hostile_report: Path) -> None:
    page = desktop.open(hostile_report / "index.html")
    heading = page.locator("#board thead th", has_text="mu")
    assert heading.get_attribute("aria-sort") == "descending"
    button = heading.get_by_role("button")
    button.focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    numbers = [float(text) for text in column(page, "routers", 2)]
    assert numbers == sorted(numbers)
    assert len(numbers) > 3
    by_name = page.locator("#board thead th", has_text="Router")
    by_name.get_by_role("button").click()
    assert (by_name.get_attribute("aria-sort"), heading.get_attribute("aria-sort")) == ("ascending", None)
    names = [name.lower() for name in column(page, "routers", 1)]
    assert names == sorted(names)


def test_the_script_shows_the_very_numbers_of_the_page_without_it(
    desktop: Watched, tmp_path: Path, result: Any, stored: Any
) -> None:
    # Of 80 prompts every odd number is half way between two numbers of three decimals.
    runs = [result("knn", (2 * k + 1) / 80, params={"k": k}, prompts=80, start=k) for k in range(1, 31)]
    runs += [result(router, 41 / 80, prompts=80) for router in ("best_single", "oracle")]
    report = build_site(stored(tmp_path, runs), tmp_path / "report").folder
    page = desktop.open(report / "index.html")
    cells = "Array.from(document_.querySelectorAll('#board tbody tr:not(.group)'), row => Array.from(row.cells, text))"
    scripted, served = page.evaluate(
        f"""html => {{
          const text = cell => cell.textContent.trim(), read = document_ => {cells};
          return [read(document), read(new DOMParser().parseFromString(html, 'text/html'))];
        }}""",
        (report / "index.html").read_text("utf-8"),
    )
    assert len(served) == 32
    assert any("0.562[" in cell for row in served for cell in row)
    assert scripted == served


def test_below_the_table_stands_where_the_chosen_runs_come_from(desktop: Watched, hostile_report: Path) -> None:
    page = desktop.open(hostile_report / "index.html")
    line = page.locator("#stated")
    assert line.inner_text().startswith("Protocol strict; encoder shipped; seed 0; data ")
    page.get_by_label("Protocol").select_option("paper")
    assert line.inner_text().startswith("Protocol paper; encoder shipped; seed 0; data ")
    with page.expect_download() as waiting:
        page.locator("#download").click()
    rows = list(csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text("utf-8"))))
    assert {(row["protocol"], row["encoders"], row["seeds"], row["versions"]) for row in rows} == {
        ("paper", "shipped", "0", version("routereval"))
    }
    assert "d" * 64 in rows[0]["data_hashes"]


def test_filters_pick_other_numbers_and_the_address_keeps_them(desktop: Watched, hostile_report: Path) -> None:
    page = desktop.open(hostile_report / "index.html")
    status = page.locator("#status[role=status]")
    before = status.inner_text()
    page.get_by_label("Pool size m").select_option("10")
    assert status.inner_text() != before
    assert "1 scenario" in status.inner_text()
    page.get_by_label("Protocol").select_option("paper")
    assert column(page, "routers", 2) == ["0.600"]
    desktop.open(hostile_report / "index.html", page.url.partition("#")[1] + page.url.partition("#")[2])
    assert page.get_by_label("Protocol").evaluate("box => box.selectedOptions[0].text") == "paper"
    page.get_by_label("Protocol").select_option("strict")
    page.get_by_label("Pool size m").select_option("all")
    page.get_by_role("searchbox").fill("best")
    assert column(page, "routers", 1) == ["best_singlebaseline"]
    page.get_by_role("searchbox").fill("")
    page.get_by_label("controls").uncheck()
    assert not any("majority" in name for name in column(page, "routers", 1))


def test_encoders_are_apart_and_the_one_of_most_runs_is_first(
    desktop: Watched, tmp_path: Path, result: Any, stored: Any
) -> None:
    runs = [result("knn", 0.6), result("knn", 0.8, encoder="tfidf"), result("ridge", 0.7, encoder="tfidf")]
    runs += [result("knn", 0.3, encoder="e5", protocol="paper"), result("knn", 0.2, protocol="paper")]
    report = build_site(stored(tmp_path, [*runs, result("knn", 0.9, "two/all/3")]), tmp_path / "report").folder
    page = desktop.open(report / "index.html")
    encoder = page.get_by_label("Encoder")
    # Three runs are with the shipped one, whose only router has two benchmarks; two with tfidf.
    assert encoder.locator("option").all_inner_texts() == ["shipped", "tfidf", "e5"]
    assert column(page, "routers", 2) == ["0.750"]
    encoder.select_option("tfidf")
    assert column(page, "routers", 2) == ["0.800", "0.700"]
    assert page.locator("#stated").inner_text().startswith("Protocol strict; encoder tfidf; ")
    # By the other protocol nothing was run with it: what was comes in its place.
    page.get_by_label("Protocol").select_option("paper")
    assert encoder.evaluate("box => box.selectedOptions[0].text") == "shipped"
    assert column(page, "routers", 2) == ["0.200"]
    assert page.url.endswith("#protocol=paper&encoder=shipped")
    desktop.open(report / "index.html", "#encoder=tfidf")
    assert column(page, "routers", 2) == ["0.800", "0.700"]


def test_a_router_opens_from_the_leaderboard(desktop: Watched, hostile_report: Path) -> None:
    page = desktop.open(hostile_report / "index.html")
    page.locator("#board tbody a").first.click()
    page.locator("h1", has_text="knn").wait_for()
    assert "/routers/knn-" in page.url
    desktop.draw()
    page.locator(".command summary").first.click()
    assert page.locator(".command code").first.inner_text().startswith("routereval run ")


def test_hostile_names_are_text_wherever_they_stand(desktop: Watched, hostile_report: Path) -> None:
    for path in [hostile_report / "index.html", *sorted(hostile_report.glob("*/*.html"))]:
        page = desktop.open(path)
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert (
            page.evaluate("document.querySelectorAll('main script:not([type]), main b, main a[href^=http]').length")
            == 0
        )
        assert page.evaluate("document.querySelectorAll('main img').length") == 0
    page = desktop.open(hostile_report / "index.html")
    desktop.draw()
    assert "<script>alert(1)</script>" in column(page, "routers", 1)
    ticks = page.locator("#forest .ytick text").all_text_contents()
    assert "<script>alert(1)</script>" in ticks
    assert r"\u202egnp.exe\x1b[31m\x9bred\nProtocol paper; encoder none" in column(page, "routers", 1)
    assert not page.evaluate(r"/[\u202a-\u202e\u2066-\u2069\x1b\x9b]/.test(document.documentElement.outerHTML)")
    assert any(tick.startswith("<b>bold</b> &lt;img") for tick in ticks)


def test_a_submitted_router_is_found_by_its_author_and_links_to_the_web_alone(
    desktop: Watched, credited_report: Path
) -> None:
    page = desktop.open(credited_report / "index.html")
    page.get_by_role("searchbox").fill("bob")
    assert column(page, "routers", 1) == ["careful"]
    assert page.locator("#board .by").inner_text() == "Ada Example, Bob Example code"
    link = page.locator("#board .by a")
    assert link.get_attribute("href") == "https://example.org/code?a=1&b=2"
    assert link.get_attribute("rel") == "nofollow noopener noreferrer"
    page.get_by_role("searchbox").fill("")
    assert page.locator("#board .by a").count() == 1
    assert "<img src=x onerror=alert(3)> and 2 others" in page.locator("#board .by").all_inner_texts()
    for path in (credited_report / "routers").glob("*.html"):
        desktop.open(path)
        assert page.locator("main img, main svg:not(.main-svg), main dd b").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_hovering_shows_the_name_as_it_is(desktop: Watched, hostile_report: Path) -> None:
    page = desktop.open(hostile_report / "index.html")
    desktop.draw()
    page.locator("#forest .plot").scroll_into_view_if_needed()
    at = page.evaluate(
        """() => { const plot = document.querySelector('#forest .plot'), box = plot.getBoundingClientRect();
          const trace = plot.data[0], i = trace.customdata.findIndex(one => one[0].includes('bold'));
          return [box.x + plot._fullLayout.xaxis._offset + plot._fullLayout.xaxis.d2p(trace.x[i]),
                  box.y + plot._fullLayout.yaxis._offset + plot._fullLayout.yaxis.d2p(trace.y[i])]; }"""
    )
    page.mouse.move(*at)
    label = page.locator("#forest .hoverlayer .hovertext").first
    label.wait_for()
    assert "<b>bold</b> &lt;img src=x onerror=alert(2)&gt; %{y} {{ 7*7 }}" in label.text_content()


def test_a_chart_downloads_its_numbers_and_shows_them_as_a_table(desktop: Watched, hostile_report: Path) -> None:
    page = desktop.open(hostile_report / "index.html")
    desktop.draw()
    with page.expect_download() as waiting:
        page.locator("#forest .download").click()
    rows = list(csv.reader(io.StringIO(Path(waiting.value.path()).read_text("utf-8"))))
    assert rows[0] == ["router", "kind", "gain over the best single model", "low", "high", "runs"]
    assert rows[1][5].startswith("Protocol strict; encoder shipped; seed 0; data ")
    shown = {row[0]: float(row[2]) for row in rows[1:]}
    assert shown["knn"] == pytest.approx(0.2)
    assert "'=cmd|' /C calc'!A0" in shown
    page.locator("#forest .as-table summary").click()
    assert page.locator("#forest .as-table tbody tr").count() == len(shown)


def test_the_published_reference_is_a_line_with_its_models_name(
    desktop: Watched, tmp_path: Path, result: Any, stored: Any
) -> None:
    runs = [result(router, 0.6, f"gsm8k/all/{m}") for router in ("knn", "best_single") for m in (3, 5)]
    for run in runs:
        run.outcome.columns["reference"] = np.full(40, 0.92)
    report = build_site(stored(tmp_path, runs), tmp_path / "report").folder
    (path,) = (report / "benchmarks").glob("*.html")
    page = desktop.open(path)
    desktop.draw()
    assert page.locator("#scaling0 .annotation-text").all_text_contents() == ["Perf(ref) GPT-4"]
    lines = page.evaluate("document.querySelector('#scaling0 .plot').layout.shapes.map(one => [one.y0, one.y1])")
    assert lines == [[0.92, 0.92]]


def test_the_command_of_a_scenario_is_in_sight_on_a_narrow_window_and_tiles_leave_no_block(
    browser: Any, hostile_report: Path
) -> None:
    watched = Watched(browser, viewport={"width": 1000, "height": 800})
    page = watched.open(next((hostile_report / "routers").glob("knn-*.html")))
    table = page.locator("[aria-label='Table of every scenario']").bounding_box()
    box = page.locator(".again summary").first.bounding_box()
    assert box["x"] + box["width"] <= table["x"] + table["width"]
    behind = page.locator(".tiles").first.evaluate("one => getComputedStyle(one).backgroundColor")
    assert behind == "rgba(0, 0, 0, 0)"
    assert watched.faults == []
    watched.context.close()


def test_every_kind_of_page_is_accessible_and_fits_a_phone(
    desktop: Watched, hostile_report: Path, credited_report: Path
) -> None:
    found, page = [], desktop.page
    for path in (*kinds_of_pages(hostile_report), *kinds_of_pages(credited_report)):
        desktop.open(path)
        desktop.draw()
        page.evaluate(axe.AXE_SCRIPT)
        found += faults(page, path.name, "wide")
        page.set_viewport_size({"width": 360, "height": 740})
        # The charts follow, after a moment; the page's own rules forbid what would wait for that within it.
        for _ in range(50):
            if page.evaluate("document.documentElement.scrollWidth") <= 360:
                break
            page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path.name
        found += faults(page, path.name, "phone")
        page.set_viewport_size({"width": 1280, "height": 900})
    assert found == []


def faults(page: Any, name: str, width: str) -> list[Any]:
    """What axe finds, of any weight, in both colour schemes."""
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for fault in page.evaluate("axe.run(document, {preload: false}).then(found => found.violations)"):
            nodes = [node["target"] for node in fault["nodes"]][:3]
            found.append((name, width, scheme, fault["impact"], fault["id"], nodes))
    page.emulate_media(color_scheme="light")
    return found


def test_on_a_phone_reasons_are_in_sight_and_labels_keep_what_tells_them_apart(
    browser: Any, hostile_report: Path
) -> None:
    watched = Watched(browser, viewport={"width": 360, "height": 740})
    page = watched.open(hostile_report / "failures.html")
    box = page.locator(".why .error").first.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    page = watched.open(max((hostile_report / "routers").glob("knn-*.html"), key=lambda path: path.stat().st_size))
    watched.draw()
    labels = page.locator("#gains .ytick text").all_text_contents()
    assert {label.partition("m = ")[2].split(" ")[0] for label in labels} == {"3", "10"}
    title = page.locator("#gains .g-x2title, #gains .g-xtitle").first.bounding_box()
    assert title["x"] + title["width"] <= 360
    assert watched.faults == []
    watched.context.close()


def test_colours_follow_the_system_and_the_button(desktop: Watched, hostile_report: Path) -> None:
    page = desktop.open(hostile_report / "index.html")
    desktop.draw()

    def colours() -> tuple[str, str]:
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return paper, page.locator("#forest .ytick text").first.evaluate("one => getComputedStyle(one).fill")

    light = colours()
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(100)
    dark = colours()
    assert light[0] != dark[0]
    assert light[1] != dark[1]
    button = page.locator("#theme")
    button.click()
    assert button.inner_text() == "Theme: light"
    assert colours() == light
    desktop.open(hostile_report / "about.html")
    assert page.locator("#theme").inner_text() == "Theme: light"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light[0]
    button.click()
    button.click()
    page.emulate_media(color_scheme="light")


def test_the_keyboard_alone_is_enough(desktop: Watched, hostile_report: Path) -> None:
    page = desktop.open(hostile_report / "index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "protocol"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_it_prints_on_white_without_what_cannot_be_clicked(desktop: Watched, hostile_report: Path) -> None:
    page = desktop.open(hostile_report / "index.html")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for hidden in ("#filters", "#theme", "nav"):
        assert not page.locator(hidden).is_visible()
    assert page.locator("#board").is_visible()
    page.emulate_media(media="screen", color_scheme="light")


def test_served_it_is_the_same_page(browser: Any, hostile_report: Path) -> None:
    import threading

    from routereval.report.site.serving import ReportServer

    server = ReportServer(hostile_report)
    thread = threading.Thread(target=server.serve)
    thread.start()
    watched = Watched(browser)
    watched.page.goto(f"{server.url}index.html")
    watched.draw()
    assert [fault for fault in watched.faults if server.url not in fault] == []
    assert watched.page.locator("#board tbody tr").count() > 5
    watched.context.close()
    server.shutdown()
    thread.join()
