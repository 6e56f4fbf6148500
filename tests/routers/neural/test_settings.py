from __future__ import annotations

import pytest

from routereval.routers.neural.settings import Settings


def test_the_rate_rises_for_the_steps_of_warmup_and_falls_to_zero_in_a_line() -> None:
    settings = Settings(learning_rate=1.0, warmup=4)
    assert [settings.rate(step, 8) for step in range(8)] == [0, 0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25]


def test_a_warmup_below_one_is_a_share_of_the_steps() -> None:
    assert [Settings(learning_rate=2.0, warmup=0.5).rate(step, 4) for step in range(4)] == [0, 1.0, 2.0, 1.0]


def test_a_cosine_is_half_way_down_in_the_middle() -> None:
    settings = Settings(learning_rate=1.0, warmup=0, decay="cosine")
    assert [settings.rate(step, 4) for step in range(3)] == pytest.approx([1.0, 0.853553, 0.5], abs=1e-6)


def test_warmup_alone_where_there_are_fewer_steps_than_that() -> None:
    # As published: 500 steps of warm-up, and 441 prompts in batches of 10 for 10 epochs are 450 steps.
    assert Settings(learning_rate=5e-5, warmup=500).rate(449, 450) == pytest.approx(4.49e-5)
