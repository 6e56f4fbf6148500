from __future__ import annotations

import numpy as np
import pytest

from routereval.routers.neural.batching import bucketed_batches, padded, shuffled_batches, sorted_batches
from routereval.routers.neural.tokens import Tokens

LENGTHS = np.random.default_rng(0).integers(1, 200, 1000)


def tokens(*rows: list[int]) -> Tokens:
    flat = np.array([number for row in rows for number in row], dtype=np.int32)
    return Tokens(flat, np.concatenate([[0], np.cumsum([len(row) for row in rows])]))


@pytest.mark.parametrize("kind", ["shuffled", "bucketed", "sorted"])
def test_every_prompt_is_in_one_batch(kind: str) -> None:
    rng = np.random.default_rng(1)
    batches = {
        "shuffled": lambda: shuffled_batches(1000, 16, rng),
        "bucketed": lambda: bucketed_batches(LENGTHS, 16, rng),
        "sorted": lambda: sorted_batches(LENGTHS, 16),
    }[kind]()
    assert sorted(np.concatenate(batches)) == list(range(1000))
    assert max(map(len, batches)) == 16
    assert len(batches) == 63


def test_buckets_hold_prompts_of_like_length_and_come_in_another_order_each_epoch() -> None:
    first, second = (bucketed_batches(LENGTHS, 16, np.random.default_rng(seed)) for seed in (1, 2))
    widest = sum(LENGTHS[batch].max() * len(batch) for batch in first)
    assert widest < 1.05 * LENGTHS.sum()
    assert sum(LENGTHS[batch].max() * len(batch) for batch in shuffled_batches(1000, 16, np.random.default_rng(1))) > (
        1.5 * LENGTHS.sum()
    )
    assert not np.array_equal(np.concatenate(first), np.concatenate(second))
    means = [LENGTHS[batch].mean() for batch in first]
    assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.3


def test_the_longest_prompts_are_predicted_first() -> None:
    assert [LENGTHS[batch].max() for batch in sorted_batches(LENGTHS, 100)] == sorted(
        (LENGTHS[batch].max() for batch in sorted_batches(LENGTHS, 100)), reverse=True
    )


def test_a_batch_is_padded_to_its_own_longest() -> None:
    pytest.importorskip("torch", reason="needs the extra neural")
    texts = tokens([5, 6, 7], [8], [9, 10, 11, 12])
    ids, mask = padded(texts, np.array([1, 0]), 99)
    assert ids.tolist() == [[8, 99, 99], [5, 6, 7]]
    assert mask.tolist() == [[1, 0, 0], [1, 1, 1]]
    assert padded(texts, np.array([2]), 99, width=6)[0].tolist() == [[9, 10, 11, 12, 99, 99]]
