"""Simulated plans: costs that are learnt, work that is cut into pieces, who does what when."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import routereval as rv
from routereval.cli import main
from routereval.data.outcome import Outcome
from routereval.datasets import Datasets
from routereval.errors import ParameterError, UnknownNameError
from routereval.results import RunSpec, StoredRun
from routereval.runner import splitting
from routereval.runner.plan import plan
from routereval.simulation.costs import Cost, chosen, costs_of
from routereval.simulation.doubts import doubts
from routereval.simulation.problems import problem, published_problems
from routereval.simulation.schedule import Machine, schedule
from routereval.simulation.work import Piece, halves, pieces_of

IDEAL = Machine(overhead=0, storing=0, bandwidth=1e300, start=0)


def run(router: str, prompts: int, models: int, seconds: float, **changes: object) -> StoredRun:
    spec = RunSpec(f"b/all_strong/{models}", router, {}, "none", "strict", 0, "h", train_size=changes.get("train_size"))
    zeros = np.zeros(prompts)
    outcome = Outcome(("",) * prompts, ("",) * models, zeros > 0, {"chosen": zeros}, np.zeros(models))
    failed = changes.get("error")
    return StoredRun(spec, {}, {}, seconds, failed, (), {}, None if failed else outcome)


def piece(seconds: float, benchmark: str = "b", runs: int = 1) -> Piece:
    return Piece("knn", benchmark, 0, "x", runs, seconds, 10)


def test_a_power_law_is_found_again() -> None:
    grid = [(n, m) for n in (50, 100, 400, 3000) for m in (3, 10, 100, 1000)]
    runs = [run("knn", n, m, 1e-4 * n**1.5 * m**0.8) for n, m in grid for _ in range(20)]
    cost = costs_of(runs)["knn"]
    assert cost.by_prompts == pytest.approx(1.5, abs=0.01)
    assert cost.by_models == pytest.approx(0.8, abs=0.01)
    assert cost.seconds(200, 30) == pytest.approx(1e-4 * 200**1.5 * 30**0.8, rel=0.02)
    assert (cost.columnwise, cost.runs) == (True, 320)


def test_one_measurement_grows_as_expected() -> None:
    cost = costs_of([run("mlp", 100, 10, 2.0)])["mlp"]
    assert cost.seconds(100, 10) == pytest.approx(2.0)
    assert cost.seconds(200, 10) == pytest.approx(4.0)
    assert cost.seconds(100, 40) == pytest.approx(4.0)
    assert not cost.columnwise


def test_beyond_what_was_measured_it_grows_as_expected() -> None:
    # Quadratic in models from 3 to 12; from there on with the root, whatever the fit says.
    cost = costs_of([run("rorf", 100, m, m**2 / 9) for m in (3, 6, 12) for _ in range(200)])["rorf"]
    assert cost.by_models == pytest.approx(2, abs=0.02)
    assert cost.seconds(100, 6) == pytest.approx(4, rel=0.05)
    assert cost.seconds(100, 1200) == pytest.approx(10 * cost.seconds(100, 12))


def test_references_failures_and_learning_curves_are_not_measured() -> None:
    others = [run("oracle", 9, 3, 1.0), run("mlp", 9, 3, 1.0, error="no"), run("mlp", 9, 3, 1.0, train_size=5)]
    with pytest.raises(ParameterError, match="nothing is known of what one costs"):
        costs_of(others)
    assert list(costs_of([*others, run("knn", 9, 3, 1.0)])) == ["knn"]


def test_a_router_that_was_not_measured_is_named() -> None:
    costs = costs_of([run("knn", 9, 3, 1.0)])
    with pytest.raises(ParameterError, match="mirt: no measured run; the results file has knn"):
        chosen(costs, ["mirt"])


def test_an_estimate_says_why_it_may_be_far_off() -> None:
    asked = [problem("b", 1000, 200, (3, 100))]  # 100 test prompts
    enough = [run("ridge", 10, models, 1.0) for models in (3, 3, 5, 5, 10)]
    assert doubts(costs_of(enough), asked) == []
    assert doubts(costs_of([*enough, run("knn", 10, 10, 1.0)]), asked) == [
        "fewer than 5 measured runs, the first of which loads and compiles: knn"
    ]
    less = [run("ridge", 9, models, 1.0) for models in (3, 3, 5, 5, 9)]
    assert doubts(costs_of(less), asked) == [
        "measured on at most 9 test prompts and asked for 100: ridge",
        "measured on pools of at most 9 models and asked for 100: ridge",
    ]


def test_a_columnwise_router_is_one_piece_for_a_benchmark_and_another_one_for_a_scenario() -> None:
    once, each = Cost("a", True, 0.0, 0.0, 0.0, 0.0, 1), Cost("b", False, 0.0, 0.0, 0.0, 0.0, 1)
    pieces = pieces_of([problem("x", 100, 50, (3, 5))], {"a": once, "b": each}, seeds=2)
    assert [(p.router, p.runs, p.seconds) for p in pieces if p.router == "a"] == [("a", 6, 6.0)] * 2
    assert [(p.router, p.runs, p.seconds) for p in pieces if p.router == "b"] == [("b", 1, 1.0)] * 12
    assert len({str(p) for p in pieces}) == 14


def test_the_published_suite_has_twelve_benchmarks_of_fifteen_pools() -> None:
    problems = published_problems()
    assert [len(one.pools) for one in problems] == [15] * 12
    (arc,) = published_problems(["arc"])
    assert (arc.tests, arc.size) == (117, 5000 * 1172 // 8 + 1172 * 768 * 4)
    with pytest.raises(UnknownNameError, match="did you mean 'arc'"):
        published_problems(["arcs"])


def test_the_largest_piece_goes_first() -> None:
    # 4, 3, 3, 2, 2 on two workers: 4+2 and 3+3 leave the last 2 for whoever is free at 6 at the earliest.
    done = schedule([piece(s) for s in (2, 3, 2, 4, 3)], {"b": 0}, 2, IDEAL)
    assert done.wall == 8
    assert done.busy == pytest.approx(14 / 16)
    assert done.critical == 4


def test_one_worker_takes_the_sum_and_many_the_longest() -> None:
    pieces = [piece(s) for s in (1, 2, 3, 10)]
    assert schedule(pieces, {"b": 0}, 1, IDEAL).wall == 16
    many = schedule(pieces, {"b": 0}, 100, IDEAL)
    assert many.wall == many.critical == 10
    assert many.longest == "knn on b/x, seed 0"


def shared(*pools: tuple[int, float]) -> Piece:
    """A piece of scenarios that share a fit, given as models and seconds."""
    named = tuple((f"p{i}/{m}", m, seconds) for i, (m, seconds) in enumerate(pools))
    return Piece("knn", "b", 0, "*", len(pools), sum(s for _, s in pools), 10 * len(pools), named)


def test_a_fit_that_is_more_than_a_share_is_divided_as_the_runner_does() -> None:
    one = shared((3, 1.0), (100, 4.0), (10, 1.0), (90, 2.0))
    # By models: 100 to the first, 90 to the second, 10 to the second (90 < 100), 3 to the first (100 = 100).
    assert [[m for _, m, _ in half.pools] for half in halves(one)] == [[100, 3], [90, 10]]
    assert [(half.what, half.runs, half.seconds, half.answer) for half in halves(one)] == [
        ("2 pools with p1/100", 2, 5.0, 20),
        ("2 pools with p3/90", 2, 3.0, 20),
    ]
    # Two workers: a share is 4. The half of 5 s is divided again, that of 3 s is not: 4 s, and 3 + 1.
    two = schedule([one], {"b": 0}, 2, IDEAL)
    assert (two.wall, two.critical, two.longest, two.pieces) == (4, 4, "knn on b/p1/100, seed 0", 3)
    # Eight workers: a share is 1 and every pool a piece; the longest scenario is what nobody divides.
    eight = schedule([one], {"b": 0}, 8, IDEAL)
    assert (eight.wall, eight.pieces, eight.answered) == (4, 4, 40)
    assert schedule([one], {"b": 0}, 1, IDEAL).pieces == 1
    # Where there are enough fits for everybody none is done twice.
    assert schedule([one] * 4, {"b": 0}, 2, IDEAL).pieces == 4


def test_the_runner_deals_pools_in_the_same_way() -> None:
    (task,) = plan(Datasets().select(["demo_math/*/*"]), [rv.KNN()])
    piece = shared(*((m, 1.0) for _, m in task.pools))
    theirs = [sorted(m for _, m in half.pools) for half in splitting.halves(task)]
    assert [sorted(m for _, m, _ in half.pools) for half in halves(piece)] == theirs


def test_overheads_reading_and_storing_are_counted() -> None:
    machine = Machine(overhead=0.5, storing=2.0, bandwidth=10, start=3, speed=2)
    done = schedule([piece(4, "b", runs=2), piece(4, "b"), piece(2, "c")], {"b": 100, "c": 50}, 1, machine)
    # Start 3, read b 10, 4/2 + 2 x 0.5 = 3 (at 16), then 2.5 (at 18.5), read c 5, 1.5 (at 25).
    # Stored: two runs 16 to 20, one 20 to 22, the last 25 to 27.
    assert done.wall == 27
    assert done.read == 150
    assert done.driver == 8
    assert done.answered == 30
    assert done.critical == 3 + 10 + 3
    # Two workers read b twice where both work on it.
    assert schedule([piece(4), piece(4)], {"b": 100}, 2, machine).read == 200


@pytest.mark.parametrize("seed", range(5))
def test_a_schedule_is_never_shorter_than_its_bounds_nor_longer_than_grahams_bound(seed: int) -> None:
    seconds = np.random.default_rng(seed).lognormal(sigma=1.5, size=60).tolist()
    for workers in (1, 3, 7, 40):
        wall = schedule([piece(s) for s in seconds], {"b": 0}, workers, IDEAL).wall
        least = max(max(seconds), sum(seconds) / workers)
        most = sum(seconds) / workers + (1 - 1 / workers) * max(seconds)
        assert least - 1e-9 <= wall <= most + 1e-9


def test_nothing_to_do_and_nobody_to_do_it_are_errors() -> None:
    with pytest.raises(ParameterError, match="0 pieces of work on 4 workers"):
        schedule([], {}, 4, IDEAL)
    with pytest.raises(ParameterError, match="1 pieces of work on 0 workers"):
        schedule([piece(1)], {"b": 0}, 0, IDEAL)
    with pytest.raises(ParameterError, match="above 0"):
        Machine(speed=0)


@pytest.fixture
def routereval(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run the command line in this process; returns what it printed."""

    def call(*words: str):
        monkeypatch.setattr("sys.argv", ["routereval", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert ended.value.code in (0, None), printed.err
        return printed

    return call


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("plan") / "r.sqlite"
    rv.run(["demo_math/all_strong/*"], ["knn", "best_single", "oracle"], results=file)
    return file


def test_the_command_says_what_a_suite_costs_and_draws_it(routereval, measured: Path, tmp_path: Path) -> None:
    picture = tmp_path / "plan.svg"
    said = routereval("plan", "--costs", str(measured), "--simulate", "--plot", str(picture))
    assert "3,600 runs in 240 pieces: 12 benchmarks x pools x 2 routers x 10 seeds" in said.out
    assert "critical path: knn on" in said.out
    assert picture.read_text(encoding="utf-8").count("simulated") == 1
    rows = json.loads(routereval("plan", "arc", "--costs", str(measured), "--workers", "4", "--json").out)
    assert rows["work"]["runs"] == 15 * 2 * 10
    assert [one["workers"] for one in rows["schedules"]] == [4]
    (few,) = rows["doubts"]
    assert f"note: the estimate may be far off: {few}" in said.err
