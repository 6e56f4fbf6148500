"""Routers beside controls: did routing use the prompt, and what does the subset explain?"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import routereval as rv
from routereval.data.outcome import Outcome
from routereval.metrics import METRICS
from routereval.report.controls import Check, checks_of, controls_were_run
from routereval.report.controls_table import control_rows, controls_table
from routereval.results import RunSpec, StoredRun

N = 200
RNG = np.random.default_rng(0)
BASE = (RNG.random(N) < 0.5).astype(float)
"""What the best single model scores on each prompt."""


def run(
    name: str,
    chosen: np.ndarray,
    strategy: str = "all_strong",
    error: str | None = None,
    seed: int = 0,
    **params: str,
) -> StoredRun:
    """A stored run of a router that scored this."""
    columns = {"chosen": chosen, "oracle": np.ones(N), "best_single": BASE, "best_single_train": BASE, "baseline": BASE}
    outcome = Outcome(tuple(map(str, range(N))), ("a", "b"), np.ones(N, dtype=bool), columns, np.array([0.5, 0.5]))
    spec = RunSpec(f"made/{strategy}/2", name, params, "shipped", "strict", seed, "0" * 64)
    metrics = {"mu": METRICS["mu"](outcome)}
    return StoredRun(spec, metrics, {}, 0.0, error, (), {}, None if error else outcome)


def better(share: float) -> np.ndarray:
    """The best single model's scores, wrong answers of a share of all prompts put right."""
    scores = BASE.copy()
    wrong = np.flatnonzero(BASE == 0)
    scores[wrong[: round(share * N)]] = 1.0
    return scores


def only(checks: list[Check], label: str) -> Check:
    (check,) = [one for one in checks if one.label == label]
    return check


CONTROLS = [run("shuffled_labels", BASE, router="ridge"), run("random_embeddings", better(0.01), router="ridge")]


def text_of(runs: list[StoredRun], width: int = 200) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(controls_table(runs, width))
    return console.export_text()


def test_a_router_better_than_both_blind_controls_used_the_prompt() -> None:
    runs = [run("mine", better(0.2)), run("lucky", better(0.02)), *CONTROLS]
    mine, lucky = (only(checks_of(runs), label) for label in ("mine", "lucky"))
    assert mine.over["best_single"].value == pytest.approx(0.2)
    assert mine.over["shuffled_labels"].value == pytest.approx(0.2)
    assert mine.over["random_embeddings"].value == pytest.approx(0.19)
    assert mine.used_prompt is True
    assert mine.verdict == "used the prompt"
    # Above one of the two controls alone is no evidence.
    assert lucky.over["shuffled_labels"].low > 0 >= lucky.over["random_embeddings"].low
    assert lucky.verdict == "no evidence"


def test_differences_are_paired_prompt_by_prompt() -> None:
    # Each of the scores has a wide interval, their difference has the narrow one of a mean of N paired differences.
    check = only(checks_of([run("mine", better(0.2)), *CONTROLS]), "mine")
    difference = better(0.2) - BASE
    half = 1.96 * difference.std(ddof=1) / np.sqrt(N)
    assert check.over["shuffled_labels"].low == pytest.approx(0.2 - half, abs=0.01)
    assert check.over["shuffled_labels"].high == pytest.approx(0.2 + half, abs=0.01)
    assert check.mu.high - check.mu.low > 0.1


def test_means_are_over_strategies_both_were_run_on_and_over_seeds_first() -> None:
    runs = [
        run("mine", better(0.1)),
        run("mine", better(0.3), seed=1),
        run("mine", better(0.4), "all_weak"),
        *CONTROLS,
        run("shuffled_labels", better(0.1), "all_weak", router="ridge"),
    ]
    check = only(checks_of(runs), "mine")
    assert check.mu.value == pytest.approx(BASE.mean() + (0.2 + 0.4) / 2)
    assert check.over["best_single"].value == pytest.approx(0.3)
    assert check.over["shuffled_labels"].value == pytest.approx((0.2 + 0.3) / 2)
    assert check.over["random_embeddings"].value == pytest.approx(0.19)


def test_a_router_is_compared_with_the_control_made_of_it_else_with_the_best() -> None:
    runs = [
        run("kmeans", better(0.2), clusters="9"),
        run("mlp", better(0.2)),
        run("shuffled_labels", better(0.03), router="kmeans"),
        run("shuffled_labels", better(0.15), router="ridge"),
        run("shuffled_labels", better(0.01), router="kmeans:clusters=9"),
    ]
    kmeans, mlp = (only(checks_of(runs), label) for label in ("kmeans:clusters=9", "mlp"))
    assert kmeans.over["shuffled_labels"].value == pytest.approx(0.19)
    assert kmeans.controls == {"shuffled_labels": "shuffled_labels:router=kmeans:clusters=9"}
    assert mlp.over["shuffled_labels"].value == pytest.approx(0.05)
    without_its_own = only(checks_of(runs[:4]), "kmeans:clusters=9")
    assert without_its_own.over["shuffled_labels"].value == pytest.approx(0.17)
    assert mlp.used_prompt is None
    assert mlp.verdict == "needs random_embeddings"


def test_the_subset_explains_its_share_of_the_gain() -> None:
    runs = [run("mine", better(0.2)), run("worse", better(-0.0)), *CONTROLS, run("subset_only", better(0.1))]
    mine = only(checks_of(runs), "mine").explained
    assert mine is not None
    assert mine.value == pytest.approx(0.5)
    assert 0.2 < mine.low < 0.5 < mine.high < 0.8
    assert only(checks_of(runs), "worse").explained is None


@pytest.mark.parametrize(("subset", "expected"), [(0.4, 1.0), (None, 0.0)])
def test_a_share_is_between_none_and_all(subset: float | None, expected: float) -> None:
    scores = better(subset) if subset is not None else np.zeros(N)
    explained = only(checks_of([run("mine", better(0.2)), run("subset_only", scores)]), "mine").explained
    assert explained is not None
    assert (explained.value, explained.low, explained.high) == (expected, expected, expected)


def test_references_best_single_and_failed_runs_are_not_checked() -> None:
    runs = [
        run("oracle", np.ones(N)),
        run("best_single", BASE),
        run("broken", BASE, error="no"),
        run("half", better(0.1)),
        run("half", better(0.1), "all_weak", error="no"),
        *CONTROLS,
    ]
    assert [check.label.split(":")[0] for check in checks_of(runs)] == ["shuffled_labels", "random_embeddings"]


def test_without_controls_there_is_nothing_to_check() -> None:
    alone = [run("mine", better(0.2)), run("shuffled_labels", BASE, error="no")]
    assert not controls_were_run(alone)
    assert checks_of(alone) == []
    assert "no control was run; add --router shuffled_labels" in text_of(alone)
    # Controls on other data are no controls.
    other = [run("mine", better(0.2)), *(replace(c, spec=replace(c.spec, data_hash="1" * 64)) for c in CONTROLS)]
    assert all(check.is_control for check in checks_of(other))


def test_the_table_has_every_difference_with_its_interval() -> None:
    runs = [run("mine", better(0.2)), *CONTROLS, run("subset_only", better(0.1))]
    text = text_of(runs)
    for what in ("Controls: made", "+0.200", "+0.190", "0.500", "used the prompt", "control"):
        assert what in text
    narrow = text_of(runs, width=80)
    assert max(map(len, narrow.splitlines())) <= 80
    assert "leaves out mu" in narrow
    assert "used the prompt" in narrow


def test_rows_are_json_with_null_for_what_does_not_exist() -> None:
    rows = control_rows([run("mine", better(0.2)), CONTROLS[0]])
    assert json.loads(json.dumps(rows)) == rows
    mine, control = rows
    assert mine["over_shuffled_labels"] == pytest.approx(0.2)
    assert mine["over_random_embeddings"] is None
    assert mine["used_prompt"] is None
    assert mine["explained_by_subset"] is None
    assert control["control"] is True
    assert control["over_best_single"] == 0


def test_real_runs_of_controls_are_read(tmp_path: Path) -> None:
    routers = ["knn:k=20", "shuffled_labels:router=knn:k=20", "random_embeddings:router=knn:k=20", "subset_only"]
    runs = rv.run(["demo_math/*/5"], routers, results=tmp_path / "r.sqlite")
    check = only(checks_of(runs), "knn:k=20")
    assert check.controls["shuffled_labels"].startswith("shuffled_labels")
    values = {
        r: np.mean([one.metrics["mu"] for one in runs if one.spec.router == r]) for r in ("knn", "shuffled_labels")
    }
    assert check.over["shuffled_labels"].value == pytest.approx(values["knn"] - values["shuffled_labels"])
    assert check.used_prompt is not None
