"""Why an estimate may be far off: what it rests on is little, or far from what is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from routereval.simulation.costs import Cost
from routereval.simulation.work import Problem

FEW = 5
"""With fewer measured runs than this, the first, which compiles or loads, weighs much."""

FAR = 10.0
"""So many times more than was measured is far."""


def doubts(costs: Mapping[str, Cost], problems: Sequence[Problem]) -> list[str]:
    """Why these costs may say little of these problems, as sentences; none where they should do."""
    found = []
    few = [name for name, cost in costs.items() if cost.runs < FEW]
    if few:
        found.append(f"fewer than {FEW} measured runs, the first of which loads and compiles: {_some(few)}")
    prompts = max(problem.tests for problem in problems)
    far = [name for name, cost in costs.items() if cost.prompts[1] * FAR < prompts]
    if far:
        largest = max(costs[name].prompts[1] for name in far)
        found.append(f"measured on at most {largest:,.0f} test prompts and asked for {prompts:,}: {_some(far)}")
    models = max(m for problem in problems for _, m in problem.pools)
    far = [name for name, cost in costs.items() if cost.models[1] * FAR < models]
    if far:
        largest = max(costs[name].models[1] for name in far)
        found.append(f"measured on pools of at most {largest:,.0f} models and asked for {models:,}: {_some(far)}")
    return found


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 5 else ""
    return ", ".join(names[: 4 if more else 5]) + more
