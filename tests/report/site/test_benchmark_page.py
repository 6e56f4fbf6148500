"""A benchmark's page: what its numbers are means over, and the line of Perf(ref)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import routereval as rv
from routereval.report.site.building import build_site

Result = Callable[..., rv.RunResult]
Stored = Callable[[Path, Sequence[rv.RunResult]], Path]


@pytest.mark.parametrize(
    ("benchmark", "score", "line"),
    [
        ("one", 0.6, {"name": "Perf(ref)", "value": 0.6}),
        ("one", None, None),
        ("gsm8k", 0.92, {"name": "Perf(ref) GPT-4", "value": 0.92}),
        ("gsm8k", 0.6, {"name": "Perf(ref)", "value": 0.6}),
        ("gsm8k", None, None),
    ],
)
def test_the_reference_line_is_that_of_the_runs(
    benchmark: str,
    score: float | None,
    line: dict[str, object] | None,
    tmp_path: Path,
    result: Result,
    stored: Stored,
) -> None:
    runs = [result(router, mean, f"{benchmark}/all/3") for router, mean in (("knn", 0.7), ("best_single", 0.5))]
    for run in runs:
        if run.outcome is not None and score is not None:
            run.outcome.columns["reference"] = np.full(40, score)
    build_site(stored(tmp_path, runs), tmp_path / "out")
    (page,) = (tmp_path / "out/benchmarks").glob("*.html")
    found = re.search(r'"reference":\s*(null|\{[^}]*\})', page.read_text("utf-8"))
    assert found is not None
    assert json.loads(found[1]) == line


def test_it_says_which_encoders_its_means_are_over(tmp_path: Path, result: Result, stored: Stored) -> None:
    runs = [result("knn", mean, encoder=encoder) for encoder, mean in (("shipped", 0.6), ("tfidf", 0.4))]
    for i, some in enumerate((runs, runs[:1])):
        (tmp_path / str(i)).mkdir()
        build_site(stored(tmp_path / str(i), some), tmp_path / str(i) / "out")
    both, alone = (next((tmp_path / str(i) / "out/benchmarks").glob("*.html")).read_text("utf-8") for i in range(2))
    assert "mu, the mean over strategy all, and over the encoders shipped, tfidf. In bold" in both
    assert '<span class="v">0.500' in both
    assert "mu, the mean over strategy all. In bold" in alone
