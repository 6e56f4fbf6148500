"""The published facts that the package carries."""

from __future__ import annotations

import math

from routereval import facts


def test_the_twelve_benchmarks_hold_all_published_score_records() -> None:
    records = sum(b.models * b.prompts for b in facts.benchmarks().values())
    assert len(facts.benchmarks()) == 12
    assert records == 201_715_850


def test_published_entropies_do_not_exceed_what_the_pool_allows() -> None:
    # The one row that does (HellaSwag, m = 10, mlp: 5.38) is excluded from comparisons.
    rows = facts.published_results()
    assert len(rows) == 479
    assert all(row.E_p <= math.log2(m) + 0.006 for (_, m, _), row in rows.items())


def test_every_suite_names_known_benchmarks_or_the_demo() -> None:
    assert {suite["benchmarks"] for suite in facts.suites().values()} == {"published", "demo"}
