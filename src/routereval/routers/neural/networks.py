"""Small networks on fixed features. Imports PyTorch, so nothing imports this before it is needed."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Floats = NDArray[np.float32]


class Head(nn.Module):
    """One logit per model, linear in the features or in one hidden layer of them; at first the levels alone.

    Parameters
    ----------
    d : features.
    hidden : units of the hidden layer; 0: there is none.
    levels : (m,) logits to begin with.
    """

    def __init__(self, d: int, hidden: int, levels: Floats):
        super().__init__()
        self.inner = nn.Linear(d, hidden) if hidden else None
        self.last = nn.Linear(hidden or d, len(levels))
        with torch.no_grad():
            self.last.weight.zero_()
            self.last.bias.copy_(torch.from_numpy(np.array(levels)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features (b, d) to logits (b, m)."""
        if self.inner is not None:
            x = torch.relu(self.inner(x))
        logits: torch.Tensor = self.last(x)
        return logits


class Bilinear(nn.Module):
    """How well each model's direction agrees with a linear map of the features.

    Parameters
    ----------
    d : features.
    factors : length of a model's vector.
    levels : (m,) what each model has to begin with, learned on; then the agreement begins at 0.
    levelled : whether there are levels; else they are only how many models there are.
    noise : standard deviation of what is added to the features in training.
    """

    def __init__(self, d: int, factors: int, levels: Floats, *, levelled: bool, noise: float):
        super().__init__()
        self.noise = noise
        self.models = nn.Parameter(torch.randn(len(levels), factors))
        self.map = nn.Linear(d, factors, bias=False)
        self.weights = nn.Parameter(torch.empty(factors).uniform_(-1, 1) / factors**0.5)
        self.levels = nn.Parameter(torch.from_numpy(np.array(levels))) if levelled else None
        if levelled:
            with torch.no_grad():
                self.weights.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features (b, d) to strengths (b, m); the difference of two is the log odds of who wins."""
        if self.training and self.noise:
            x = x + self.noise * torch.randn_like(x)
        directions = nn.functional.normalize(self.models, dim=1)
        strengths = (self.map(x) * self.weights) @ directions.T
        return strengths if self.levels is None else strengths + self.levels


class ModelAttention(nn.Module):
    """A prompt attends over models; what it looks for, with what it finds, is compared with each model.

    ::

        q_h = W_h x + w_h                                   what head h looks for
        c_h = sum_m softmax_m(q_h . K v_m / sqrt(k)) V v_m    what it finds among all models
        logit_m = level_m + sum_h gate_h normal(q_h + c_h) . v_m / sqrt(k)

    The gates begin at 0: at first there are the levels alone.

    Parameters
    ----------
    d : features.
    vectors : (M, k) model embeddings to begin with.
    levels : (M,) logits to begin with.
    heads : how many queries a prompt asks.
    dropout : share of the features that are left out in training.
    """

    def __init__(self, d: int, vectors: Floats, levels: Floats, heads: int, dropout: float):
        super().__init__()
        k = vectors.shape[1]
        self.heads, self.scale = heads, k**-0.5
        self.dropout = nn.Dropout(dropout)
        self.models = nn.Parameter(torch.from_numpy(np.array(vectors)))
        self.levels = nn.Parameter(torch.from_numpy(np.array(levels)))
        self.query = nn.Linear(d, heads * k)
        self.key = nn.Linear(k, k, bias=False)
        self.value = nn.Linear(k, k, bias=False)
        self.gates = nn.Parameter(torch.zeros(heads))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features (b, d) to logits (b, M)."""
        asked = self.query(self.dropout(x)).unflatten(1, (self.heads, -1))
        weights = torch.softmax(asked @ self.key(self.models).T * self.scale, dim=-1)
        found = nn.functional.layer_norm(asked + weights @ self.value(self.models), asked.shape[-1:])
        wanted = (found * self.gates[:, None]).sum(1)
        logits: torch.Tensor = self.levels + wanted @ self.models.T * self.scale
        return logits
