"""Small results files: runs whose means can be worked out by hand, and one with everything in it that can go wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import routereval as rv
from routereval.data.outcome import Outcome
from routereval.report.site.building import build_site
from routereval.results import ResultStore
from routereval.results.submitted import Submission, put_submission

SCRIPT = "<script>alert(1)</script>"
LINK = '<b>bold</b> &lt;img src=x onerror=alert(2)&gt; %{y} {{ 7*7 }} "quoted"'
FORMULA = "=cmd|' /C calc'!A0"
TURNED = "\u202egnp.exe\x1b[31m\x9bred\nProtocol paper; encoder none"
BENCHMARKS = ("<script>alert(1)<\\script>", "..\\..\\two\u2066\x1b]0;x\nSeed nought")


def _outcome(chosen: float, prompts: int, start: int) -> Outcome:
    """The oracle solves the first nine tenths of the prompts, the best single model half."""
    at = np.arange(prompts)
    single = (at < round(0.5 * prompts)).astype(float)
    columns = {
        "chosen": ((at - start) % prompts < round(chosen * prompts)).astype(float),
        "oracle": (at < round(0.9 * prompts)).astype(float),
        "entropy": np.full(prompts, 0.5),
        **dict.fromkeys(("best_single", "best_single_train", "baseline"), single),
    }
    return Outcome(
        tuple(map(str, at)), ("a", "b"), np.ones(prompts, dtype=np.bool_), columns, np.array([0.5, 0.5]), None
    )


@pytest.fixture(scope="session")
def result() -> Callable[..., rv.RunResult]:
    """Makes a run that solves this share of the prompts, beginning at ``start``."""

    def made(
        router: str,
        chosen: float = 0.5,
        where: str = "one/all/3",
        *,
        error: str | None = None,
        prompts: int = 40,
        start: int = 0,
        **spec: Any,
    ) -> rv.RunResult:
        fields = {"params": {}, "encoder": "shipped", "protocol": "strict", "seed": 0, "data_hash": "d" * 64} | spec
        outcome = None if error else _outcome(chosen, prompts, start)
        return rv.RunResult(rv.RunSpec(where, router, **fields), outcome, 2.0, error=error, predict_seconds=0.5)

    return made


@pytest.fixture(scope="session")
def stored() -> Callable[[Path, Sequence[rv.RunResult]], Path]:
    """Writes runs into a results file in this folder."""

    def made(folder: Path, runs: Sequence[rv.RunResult]) -> Path:
        with ResultStore(folder / "runs.sqlite") as store:
            for one in runs:
                store.put(one)
        return folder / "runs.sqlite"

    return made


@pytest.fixture(scope="session")
def hostile_report(
    tmp_path_factory: pytest.TempPathFactory,
    result: Callable[..., rv.RunResult],
    stored: Callable[[Path, Sequence[rv.RunResult]], Path],
) -> Path:
    """A report of two benchmarks, two protocols, references, a control and failures; half of the names are attacks."""
    first, second = BENCHMARKS
    runs = [
        made
        for where in (f"{first}/all/3", f"{first}/all/10", f"{first}/few/3", f"{second}/all/3")
        for made in (
            *(result("knn", 0.7, where, params={"k": 5}), result("best_single", 0.5, where)),
            *(result("oracle", 0.9, where), result("majority", 0.4, where)),
            *(result(f"file:{SCRIPT}", 0.6, where), result(f"file:{LINK}", 0.3, where)),
            *(result("knn", 0.6, where, params={"k": 5}, protocol="paper"), result(f"file:{FORMULA}", 0.55, where)),
            *(result(f"file:{TURNED}", 0.45, where), result("my:Own", 0.35, where, params={"of": TURNED})),
        )
    ]
    runs.append(result("ridge", 0.8, f"{first}/all/3"))
    runs.append(result("ridge", where=f"{first}/all/10", error=f"RouterError: {SCRIPT}\nline two \u2028 <!-- of it"))
    folder = tmp_path_factory.mktemp("hostile")
    build_site(stored(folder, runs), folder / "report")
    return folder / "report"


IMAGE = "<img src=x onerror=alert(3)>"


@pytest.fixture(scope="session")
def credited_report(
    tmp_path_factory: pytest.TempPathFactory,
    result: Callable[..., rv.RunResult],
    stored: Callable[[Path, Sequence[rv.RunResult]], Path],
) -> Path:
    """A report with two submitted routers, whose names, authors and links are partly attacks, and one of nobody's."""
    careful, hostile = ("file:careful", "1" * 64), (f"file:{IMAGE}", "2" * 64)
    runs = [result(name, 0.7, params={"sha256": sha256}) for name, sha256 in (careful, hostile)]
    runs += [result("knn", 0.6), result("best_single", 0.5), result("file:nobody", 0.4, params={"sha256": "3" * 64})]
    folder = tmp_path_factory.mktemp("credited")
    path = stored(folder, runs)
    put_submission(
        path,
        Submission(
            *careful,
            {
                "authors": ["Ada Example", "Bob Example"],
                "contact": "ada@example.org",
                "description": "Chooses with care.\nThen rests.",
                "training_data": "nothing & nobody",
                "encoder": "none",
                "date": "2026-01-31",
                "test_prompts_seen": False,
                "code_url": "https://example.org/code?a=1&b=2",
            },
            ("7 prompts are near-identical",),
        ),
    )
    put_submission(
        path,
        Submission(
            *hostile,
            {
                "authors": [IMAGE, "<b>Bold</b>", f"Eve {TURNED}"],
                "description": f"</dd></dl><svg onload=alert(4)> {TURNED}",
                "url": "javascript:alert(5)",
                "code_url": 'https://example.org/"onmouseover="alert(6)',
                "paper_url": "data:text/html,<script>alert(7)</script>",
            },
        ),
    )
    build_site(path, folder / "report")
    return folder / "report"
