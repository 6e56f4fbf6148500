"""Fewer training prompts than there are, for learning curves."""

from __future__ import annotations

import numpy as np

from routereval.data.scenario import Scenario
from routereval.errors import ParameterError
from routereval.seeding import generator


def with_train_size(scenario: Scenario, size: int | None, seed: int) -> Scenario:
    """The same problem with ``size`` of its training prompts, drawn at random; None leaves all.

    Every scenario of a benchmark gets the same prompts, and what a smaller size has a larger one has too.

    Raises
    ------
    ParameterError : a size below 1, or more than there are.
    """
    if size is None:
        return scenario
    n = len(scenario.train)
    if not 1 <= size <= n:
        raise ParameterError(f"{scenario.id} has {n} training prompts; a training size of {size} is not to be had")
    order = generator("training prompts", scenario.benchmark, seed).permutation(n)
    return scenario.with_train(scenario.train.rows(np.sort(order[:size])))
