"""What a metric is: a name and one expression over per-prompt means."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from routereval.data.outcome import Outcome

METRICS: dict[str, Metric] = {}
"""Every metric by name, in the order tables show them."""


@dataclass(frozen=True)
class Metric:
    """A number computed from an :class:`~routereval.data.outcome.Outcome`.

    Parameters
    ----------
    name, symbol : as JSON has it; as tables have it.
    higher_is_better : None where neither is.
    compute : the expression. Its parameters name columns of the outcome and receive their means (per-prompt values
        first, aggregate second), so the same expression serves a point estimate and all resamples at once. A parameter
        ``share`` receives the (m,) shares of choices instead.
    """

    name: str
    symbol: str
    higher_is_better: bool | None
    compute: Callable[..., Any]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns whose means it needs."""
        return tuple(inspect.signature(self.compute).parameters)

    @property
    def resampled(self) -> bool:
        """Whether it follows from means of per-prompt values, so that resampling prompts gives an interval."""
        return "share" not in self.columns

    @property
    def about(self) -> str:
        """The first sentence of the definition."""
        return (inspect.getdoc(self.compute) or "").split("\n\n")[0].replace("\n", " ")

    def __call__(self, outcome: Outcome) -> float:
        """The value; nan where a column is missing or a denominator is 0."""
        if not self.resampled:
            return float(self.compute(share=outcome.share))
        return float(self.from_means({name: outcome.mean(name) for name in self.columns}))

    def from_means(self, means: Mapping[str, Any]) -> Any:
        """The value or values, given the mean of each column or an array of resampled means."""
        return self.compute(**{name: means[name] for name in self.columns})


def metric(name: str, *, symbol: str, higher_is_better: bool | None) -> Callable[[Callable[..., Any]], Metric]:
    """Turn an expression into a metric and list it."""

    def register(compute: Callable[..., Any]) -> Metric:
        if name in METRICS:
            raise ValueError(f"metric {name!r} is defined twice")
        METRICS[name] = Metric(name, symbol, higher_is_better, compute)
        return METRICS[name]

    return register
