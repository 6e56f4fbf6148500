"""Work whose parts share a fit, halved so that no worker idles: by the runner, and by the plan that simulates it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

Work = TypeVar("Work")


def divided(
    work: Iterable[Work], workers: int, cost: Callable[[Work], float], halves: Callable[[Work], Sequence[Work]]
) -> list[Work]:
    """The same work in parts, none so large that the other workers would wait for it alone; in the same order.

    What is more than a worker's share of everything is halved, and halved again.

    Parameters
    ----------
    cost : how much work one is; ``halves`` : two of it, or none where it cannot be divided.
    """
    waiting, parts = list(work)[::-1], []
    share = sum(map(cost, waiting)) / workers
    while waiting:
        one = waiting.pop()
        halved = halves(one) if workers > 1 and cost(one) > share else ()
        if halved:
            waiting += halved[::-1]
        else:
            parts.append(one)
    return parts


def two_sides(models: Sequence[int]) -> tuple[list[int], list[int]]:
    """Positions of pools on two sides of about as many models each: the largest first, each to whichever has fewer.

    Parameters
    ----------
    models : how many each pool has.
    """
    sides: tuple[list[int], list[int]] = [], []
    total = [0, 0]
    for i in sorted(range(len(models)), key=lambda i: models[i], reverse=True):
        side = int(total[1] < total[0])
        sides[side].append(i)
        total[side] += models[i]
    return sides
