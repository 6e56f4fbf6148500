"""A benchmark's page: a table for each encoder, and the line of Perf(ref)."""

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
    published = "Perf(ref) is the published 0.92 of GPT-4. Source: "
    assert (published in page.read_text("utf-8")) == (benchmark == "gsm8k")


def test_each_encoder_of_a_benchmark_has_a_table_of_its_own(tmp_path: Path, result: Result, stored: Stored) -> None:
    runs = [result("knn", mean, encoder=encoder) for encoder, mean in (("shipped", 0.6), ("tfidf", 0.4))]
    for i, some in enumerate((runs, runs[:1])):
        (tmp_path / str(i)).mkdir()
        build_site(stored(tmp_path / str(i), some), tmp_path / str(i) / "out")
    both, alone = (next((tmp_path / str(i) / "out/benchmarks").glob("*.html")).read_text("utf-8") for i in range(2))
    first, second = both.split("Scores by pool size, shipped</h2>")[1].split("Scores by pool size, tfidf</h2>")
    shown = [re.findall(r'([\d.]+)</span><span class="ci">', part) for part in (first, second)]
    assert shown == [["0.600"], ["0.400"]]
    assert "Scores by pool size</h2>" in alone
