from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra neural: pip install 'routereval[neural]'")

from routereval.routers.neural.contrast import sample_llm_loss, sample_sample_loss  # noqa: E402

NAN = math.nan


def llm_loss(logits: list[float], targets: list[float], top_k: int, last_k: int, seed: int = 0) -> float:
    noise = torch.rand(1, len(logits), generator=torch.Generator().manual_seed(seed))
    return float(sample_llm_loss(torch.tensor([logits]), torch.tensor([targets]), noise, top_k, last_k))


def log_sum(*logits: float) -> float:
    return math.log(sum(math.exp(value) for value in logits))


def test_a_good_model_is_compared_with_the_bad_ones_of_its_prompt() -> None:
    assert llm_loss([1.0, 2.0, 3.0], [1, 0, 0.25], 1, 2) == pytest.approx(log_sum(1, 2, 3) - 1)


def test_each_good_model_is_compared_by_itself_with_those_below_it() -> None:
    # The model of 0.25 is among the two best, and only the first bad one is below it.
    expected = (log_sum(1, 2, 3) - 1) + (log_sum(3, 2) - 3)
    assert llm_loss([1.0, 2.0, 3.0], [1, 0, 0.25], 2, 2) == pytest.approx(expected)


def test_a_score_above_one_half_is_not_bad_and_a_score_of_zero_is_not_good() -> None:
    assert llm_loss([1.0, 2.0, 3.0], [1, 0.75, 0], 3, 3) == pytest.approx((log_sum(1, 3) - 1) + (log_sum(2, 3) - 2))
    assert llm_loss([1.0, 2.0], [0.75, 0.6], 2, 2) == 0
    assert llm_loss([1.0, 2.0], [0, 0], 2, 2) == 0


def test_what_was_not_observed_takes_no_part() -> None:
    assert llm_loss([1.0, 9.0, 3.0], [1, NAN, 0], 3, 3) == pytest.approx(log_sum(1, 3) - 1)
    assert llm_loss([1.0, 9.0], [NAN, NAN], 2, 2) == 0


def test_which_of_equal_scores_are_compared_is_drawn() -> None:
    drawn = {round(llm_loss([1.0, 2.0, 3.0], [1, 0, 0], 1, 1, seed), 4) for seed in range(20)}
    assert drawn == {round(log_sum(1, other) - 1, 4) for other in (2, 3)}


def test_the_loss_is_a_mean_over_prompts_and_has_finite_slopes_where_nothing_is_compared() -> None:
    logits = torch.tensor([[1.0, 2.0], [1.0, 2.0]], requires_grad=True)
    loss = sample_llm_loss(logits, torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.rand(2, 2), 2, 2)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx((log_sum(1, 2) - 1) / 2)
    share = math.exp(2) / (math.exp(1) + math.exp(2)) / 2
    np.testing.assert_allclose(logits.grad.numpy(), [[-share, share], [0, 0]], rtol=1e-6)


def test_a_prompt_is_drawn_to_its_cluster_and_away_from_the_others() -> None:
    # Two prompts at right angles in each cluster: cosines are 0 within, 1 and 0 across.
    prompts = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    clusters = torch.tensor([0, 0, 1, 1])
    loss = sample_sample_loss(prompts, clusters, torch.rand(4, 4), 2, 0.5)
    assert float(loss) == pytest.approx(log_sum(0, 2, 0))
    # More others asked for than there are: as many as there are.
    assert float(sample_sample_loss(prompts, clusters, torch.rand(4, 4), 9, 0.5)) == pytest.approx(log_sum(0, 2, 0))


def test_a_prompt_alone_in_its_cluster_or_a_batch_of_one_cluster_count_nothing() -> None:
    prompts = torch.nn.functional.normalize(torch.rand(3, 2), dim=1)
    assert float(sample_sample_loss(prompts, torch.tensor([0, 1, 2]), torch.rand(3, 3), 2, 1.0)) == 0
    assert float(sample_sample_loss(prompts, torch.tensor([5, 5, 5]), torch.rand(3, 3), 2, 1.0)) == pytest.approx(0)
    assert float(sample_sample_loss(prompts[:1], torch.tensor([0]), torch.rand(1, 1), 3, 1.0)) == 0
