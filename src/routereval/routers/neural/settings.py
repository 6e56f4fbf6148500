"""How a network is trained: steps, rates, when to stop; checked in one place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from routereval.errors import ParameterError

Decay = Literal["linear", "cosine", "constant"]


@dataclass(frozen=True)
class Settings:
    """The parameters of :func:`~routereval.routers.neural.loop.train`.

    Parameters
    ----------
    epochs : times through the training prompts, at most.
    batch : prompts per step of the optimiser. As many of them as fit into memory go through the network together.
    learning_rate : of AdamW, once warmed up.
    warmup : steps in which the rate rises from 0; below 1, a share of all steps.
    decay : how the rate falls to 0 after that, or ``constant``.
    weight_decay : of AdamW; not of biases and of the gains of normalisation.
    clip : largest length of the gradient; 0: any.
    patience : stop after so many epochs without a better validation score, and keep the best weights; 0: all epochs,
        last weights.
    head_factor : the learning rate of ``head`` parameters is this many times higher: a fresh head on a trained body.
    """

    epochs: int = 10
    batch: int = 16
    learning_rate: float = 5e-5
    warmup: float = 0.1
    decay: Decay = "linear"
    weight_decay: float = 0.01
    clip: float = 1.0
    patience: int = 0
    head_factor: float = 1.0

    def check(self, who: str) -> Settings:
        """These settings, if they can be.

        Raises
        ------
        ParameterError : says which cannot be, of which router.
        """
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{who} has {name} = {getattr(self, name)}; it must be at least 1")
        for name in ("learning_rate", "head_factor"):
            if not 0 < getattr(self, name) < math.inf:
                raise ParameterError(f"{who} has {name} = {getattr(self, name)}; it must be positive")
        for name in ("warmup", "weight_decay", "clip", "patience"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ParameterError(f"{who} has {name} = {getattr(self, name)}; it must be 0 or more")
        if self.decay not in ("linear", "cosine", "constant"):
            raise ParameterError(f"{who} has decay = {self.decay!r}; expected linear, cosine or constant")
        return self

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of a step, counted from 0, of so many; of these two alone, so there is nothing to save."""
        warmup = self.warmup if self.warmup >= 1 else round(self.warmup * steps)
        if step < warmup:
            return self.learning_rate * step / warmup
        if self.decay == "constant":
            return self.learning_rate
        done = (step - warmup) / max(1, steps - warmup)
        return self.learning_rate * (1 - done if self.decay == "linear" else (1 + math.cos(math.pi * done)) / 2)


def small_network_settings(who: str, router: Any) -> Settings:
    """Those of a router that trains a small network on fixed features: a constant rate, until 10 epochs bring nothing.

    Raises
    ------
    ParameterError : one of its parameters cannot be.
    """
    return Settings(
        epochs=router.epochs,
        batch=router.batch,
        learning_rate=router.learning_rate,
        warmup=0,
        decay="constant",
        weight_decay=router.weight_decay,
        patience=10,
    ).check(who)
