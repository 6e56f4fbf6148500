"""An encoder with one embedding per model beside it, and the two contrastive losses that it learns by."""

from __future__ import annotations

from typing import Any

import torch

SPREAD = 0.78
"""Standard deviation of the models' initial embeddings, as published."""


class DualEncoder(torch.nn.Module):
    """Cosine of a prompt's first token and each model's embedding, over a temperature, plus the model's level.

    Parameters
    ----------
    encoder : of Hugging Face.
    models : how many models; their embeddings are drawn from PyTorch's generator.
    temperature : what cosines are divided by.
    levels : whether the levels learn; they begin at 0.
    """

    def __init__(self, encoder: Any, models: int, temperature: float, *, levels: bool):
        super().__init__()
        self.encoder = encoder
        self.models = torch.nn.Parameter(SPREAD * torch.randn(models, encoder.config.hidden_size))
        self.levels = torch.nn.Parameter(torch.zeros(models), requires_grad=levels)
        self.temperature = temperature

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Directions of the prompts (b, d) and logits of the models (b, m)."""
        first = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
        prompts = torch.nn.functional.normalize(first.float(), dim=1)
        models = torch.nn.functional.normalize(self.models.float(), dim=1)
        return prompts, prompts @ models.T / self.temperature + self.levels


def sample_llm_loss(
    logits: torch.Tensor, targets: torch.Tensor, noise: torch.Tensor, top_k: int, last_k: int
) -> torch.Tensor:
    """Each good model against the bad ones of its prompt: sum over the good ones of -log softmax, mean over prompts.

    Parameters
    ----------
    logits, targets : (b, m); a target that is nan takes no part.
    noise : (b, m) different numbers; they put equal targets in order.
    top_k : the good ones are so many of the highest targets, above 0.
    last_k : the bad ones are so many of the lowest targets, at most 0.5, and below that of the good one in question.
    """
    shuffled = noise.argsort(dim=1)
    logits, targets = logits.gather(1, shuffled), targets.gather(1, shuffled)
    high = targets.nan_to_num(nan=-1.0).argsort(dim=1, descending=True, stable=True)[:, :top_k]
    low = targets.nan_to_num(nan=2.0).argsort(dim=1, stable=True)[:, :last_k]
    of_good, of_bad = targets.gather(1, high), targets.gather(1, low)
    good, bad = of_good > 0, of_bad <= 0.5  # nan is neither
    facing = bad[:, None, :] & (of_bad[:, None, :] < of_good[:, :, None])
    ours = logits.gather(1, high)
    theirs = logits.gather(1, low)[:, None, :].expand(facing.shape).masked_fill(~facing, -torch.inf)
    losses = torch.cat([ours[:, :, None], theirs], dim=2).logsumexp(dim=2) - ours
    return (losses * good).sum(dim=1).mean()


def sample_sample_loss(
    prompts: torch.Tensor, clusters: torch.Tensor, noise: torch.Tensor, negatives: int, temperature: float
) -> torch.Tensor:
    """Each prompt's likeness to one of its own cluster against some of other clusters: -log softmax, mean over prompts.

    A prompt that is alone in its cluster, or in a batch of one cluster, has nothing to be compared with: it counts 0.

    Parameters
    ----------
    prompts : (b, d) of length one.
    clusters : (b,) the cluster of each.
    noise : (b, b) in [0, 1); it picks the others.
    negatives : so many of other clusters, or as many as there are.
    """
    others = ~torch.eye(len(prompts), dtype=torch.bool, device=prompts.device)
    alike = (clusters[:, None] == clusters[None, :]) & others
    apart = clusters[:, None] != clusters[None, :]
    likeness = prompts @ prompts.T / temperature
    friend = noise.masked_fill(~alike, -1.0).argmax(dim=1, keepdim=True)
    strangers = noise.masked_fill(~apart, -1.0).argsort(dim=1, descending=True, stable=True)[:, :negatives]
    against = likeness.gather(1, strangers).masked_fill(~apart.gather(1, strangers), -torch.inf)
    ours = likeness.gather(1, friend)
    losses = torch.cat([ours, against], dim=1).logsumexp(dim=1) - ours[:, 0]
    return (losses * alike.any(dim=1)).mean()
