"""From a router and a scenario to a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import routereval as rv
from routereval.data.prediction import Prediction
from routereval.errors import DataError, ParameterError, RouterError
from routereval.evaluation import evaluate_many

PROMPTS = tuple("abcdef")


def tiny(scores: list[list[float]], *, missing: bool = False, texts: list[str] | None = None) -> rv.Scenario:
    """Four training prompts, two test prompts, models w(eak) and s(trong)."""
    matrix = rv.ScoreMatrix.from_dense(np.array(scores), PROMPTS, ("w", "s"), missing=missing)
    embeddings = np.eye(6, 4, dtype=np.float32) + 0.1
    data = rv.BenchmarkData(
        benchmark="tiny",
        scores=matrix,
        queries=rv.Queries(PROMPTS, embeddings, texts),
        split=rv.Split(np.arange(4), np.arange(0), np.array([4, 5])),
        pools={("all", 2): rv.CandidatePool(("w", "s"), "all")},
        source="a test",
        data_hash="0" * 64,
        reference_score=0.8,
    )
    return data.scenario("all", 2)


SCORES = [[0, 1], [0, 1], [1, 1], [0, 0], [1, 0], [1, 1]]


@dataclass
class Always:
    """Gives every query the same scores."""

    columnwise: ClassVar[bool] = False
    values: tuple[float, ...] = (1.0, 0.0)

    def fit(self, train: rv.Partition, val: rv.Partition | None = None) -> Always:
        return self

    def predict(self, queries: rv.Queries) -> Prediction:
        return Prediction(np.tile(np.array(self.values), (len(queries), 1)))


def test_the_metrics_of_a_tiny_scenario_are_those_worked_out_by_hand() -> None:
    # Test scores: w is right on both prompts, s on one. Train: s is the better one (3 of 4 against 1 of 4).
    result = rv.evaluate(Always((0.0, 1.0)), tiny(SCORES))
    assert result.mu == 0.5
    assert result.V_R == 0.5 / 0.8
    assert result.V_B == 0.5  # best in hindsight: w, 1.0
    assert result.V_B_train == 1.0  # best on train: s, 0.5
    assert result.regret == 0.5  # oracle: 1.0
    assert result.gap_closed == 0.0  # strict: against the best on train
    assert result.choice_entropy == 0.0
    assert (result.models_used, result.largest_share) == (1, 1.0)
    assert np.isnan(result.E_p)  # no distribution given


def test_paper_takes_the_best_single_model_in_hindsight_for_the_gap() -> None:
    # Best single and oracle both score 1 on the test prompts, so there is no gap to close.
    assert np.isnan(rv.evaluate(Always(), tiny(SCORES), protocol="paper").gap_closed)


def test_ties_go_to_the_weakest_in_paper_and_to_the_train_best_in_strict() -> None:
    scenario = tiny(SCORES)
    tied = Always((0.5, 0.5))
    paper, strict = (rv.evaluate(tied, scenario, protocol=p).outcome for p in ("paper", "strict"))
    assert paper is not None
    assert strict is not None
    assert paper.choices.tolist() == [0, 0]
    assert strict.choices.tolist() == [1, 1]


def test_a_routers_own_ties_go_before_the_protocols() -> None:
    scenario = tiny(SCORES)
    by_mean = rv.evaluate(rv.KNN(k=4, ties="train_mean"), scenario, protocol="paper")
    first = rv.evaluate(rv.KNN(k=4, ties="first"), scenario, protocol="strict")
    assert by_mean.outcome.choices.tolist() == [1, 1]  # means over all four: 0.25 and 0.75, no tie at all
    assert first.outcome.choices.tolist() == [1, 1]


def test_a_model_is_never_scored_on_a_cell_that_was_not_observed() -> None:
    nan = float("nan")
    holes = [*SCORES[:4], [nan, 0], [1, nan]]
    result = rv.evaluate(Always((1.0, 0.0)), tiny(holes, missing=True))
    # On the first test prompt w was not observed, so the choice falls on s.
    assert result.outcome.choices.tolist() == [1, 0]
    assert result.mu == 0.5


def test_a_prompt_that_no_model_was_observed_on_does_not_count() -> None:
    nan = float("nan")
    result = rv.evaluate(Always((1.0, 0.0)), tiny([*SCORES[:4], [nan, nan], [1, 0]], missing=True))
    assert result.outcome.counted.tolist() == [False, True]
    assert result.mu == 1.0
    assert any("1 of 2 test prompts not counted" in note for note in result.notes)


def test_strict_leaves_out_training_prompts_that_are_test_prompts_and_paper_does_not() -> None:
    texts = ["What is 1+1?", "b", "c", "d", "e", "what is  1+1?"]
    scenario = tiny(SCORES, texts=texts)
    seen: list[int] = []

    @dataclass
    class Counting(Always):
        def fit(self, train: rv.Partition, val: rv.Partition | None = None) -> Counting:
            seen.append(len(train))
            return self

    strict = rv.evaluate(Counting(), scenario)
    rv.evaluate(Counting(), scenario, protocol="paper")
    assert seen == [3, 4]
    assert any("1 training prompts left out" in note for note in strict.notes)


def test_evaluate_changes_neither_the_router_nor_its_seed() -> None:
    router = rv.KMeans(clusters=2, seed=7)
    result = rv.evaluate(router, tiny(SCORES))
    assert router == rv.KMeans(clusters=2, seed=7)
    assert not hasattr(router, "means_")
    assert result.spec.seed == 7


@pytest.mark.parametrize(
    ("values", "message"),
    [((float("nan"), 1.0), "nan"), ((1.0, 0.0, 0.0), r"shape \(2, 3\); expected \(2, 2\)")],
)
def test_a_prediction_that_is_none_is_an_error_that_says_why(values: tuple[float, ...], message: str) -> None:
    with pytest.raises(RouterError, match=message):
        rv.evaluate(Always(values), tiny(SCORES))


def test_choosing_a_model_outside_the_pool_is_an_error() -> None:
    with pytest.raises(RouterError, match="not in the pool: gpt"):
        Prediction.from_choices(["w", "gpt"], ("w", "s"))


def test_probabilities_that_do_not_sum_to_one_are_an_error() -> None:
    class Wrong(Always):
        def predict(self, queries: rv.Queries) -> Prediction:
            ones = np.ones((len(queries), 2))
            return Prediction(ones, ones)

    with pytest.raises(RouterError, match="row sums 2 to 2"):
        rv.evaluate(Wrong(), tiny(SCORES))


def test_what_a_router_raises_is_reported_as_its_failure() -> None:
    class Broken(Always):
        def fit(self, train: rv.Partition, val: rv.Partition | None = None) -> Broken:
            raise KeyError("weights")

    with pytest.raises(RouterError, match="Broken raised KeyError: 'weights'"):
        rv.evaluate(Broken(), tiny(SCORES))


def test_something_that_is_no_router_is_refused() -> None:
    with pytest.raises(RouterError, match="no method fit"):
        rv.evaluate(object(), tiny(SCORES))


def test_one_bad_scenario_does_not_take_the_others_with_it() -> None:
    good = tiny(SCORES)
    results = evaluate_many(rv.KNN(k=5), [good])
    assert isinstance(results[0], ParameterError)
    assert "with 4 training prompts it must be 1 to 4" in str(results[0])


def test_a_result_prints_its_metrics_with_intervals() -> None:
    text = str(rv.evaluate(rv.KNN(k=1), rv.load_scenario("demo_math/all_strong/5")))
    assert text.startswith("knn")
    assert "mu" in text
    assert "V_B_train" in text
    assert "[" in text


def test_strict_chooses_the_best_single_model_without_the_leaked_prompts() -> None:
    # Without the leaked prompts (two of them, texts "x" and "y") w is the best on train; with them it is s.
    texts = ["own", "x", "y", "x", "x", "y"]
    scores = [[1, 0], [0, 1], [0, 1], [0, 1], [1, 0], [1, 0]]
    strict, paper = (rv.evaluate(rv.Oracle(), tiny(scores, texts=texts), protocol=name) for name in ("strict", "paper"))
    assert strict.V_B_train == 1.0
    assert np.isnan(paper.V_B_train)
    assert rv.evaluate(rv.BestSingle(), tiny(scores, texts=texts)).mu == 1.0


def test_empty_texts_are_no_leak_and_no_training_prompts_are_an_error() -> None:
    empty = tiny(SCORES, texts=[""] * 6)
    assert not any("left out" in note for note in rv.evaluate(Always(), empty).notes)
    with pytest.raises(DataError, match="tiny has no training prompts left"):
        rv.evaluate(Always(), tiny(SCORES, texts=["x"] * 6))


def test_a_choice_that_was_not_observed_is_replaced_and_counted() -> None:
    scenario = tiny([[0, 1], [0, 1], [1, 1], [0, 0], [np.nan, 1], [1, 0]], missing=True)
    result = rv.evaluate(Always((1.0, 0.0)), scenario)
    assert result.mu == 1.0
    assert any("1 of 2 choices fell on a model that was not observed there" in note for note in result.notes)


def test_what_was_predicted_of_the_chosen_model_is_kept() -> None:
    scenario = rv.load_scenario("demo_math/all_strong/3")
    result = rv.evaluate(rv.KNN(k=4), scenario)
    predicted = result.outcome.columns["predicted"]
    # A mean of four observed scores, the best of the three models'.
    assert set(np.unique(predicted)) <= {0, 0.25, 0.5, 0.75, 1}
    assert predicted.mean() > result.mu - 0.2
    assert "predicted" not in rv.evaluate(rv.Oracle(), scenario).outcome.columns
