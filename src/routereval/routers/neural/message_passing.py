"""A graph of tasks, prompts and models as matrices, and the network that passes messages along its edges."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import leaky_relu


@dataclass(frozen=True)
class Edges:
    """The scores of n prompts and m models, as each side receives them.

    Parameters
    ----------
    to_models : (m, n) one over a model's number of edges where it has one.
    scores_to_models : (m, n) the same times the edge's score, less the model's mean.
    to_prompts, scores_to_prompts : (n, m) likewise.
    """

    to_models: torch.Tensor
    scores_to_models: torch.Tensor
    to_prompts: torch.Tensor
    scores_to_prompts: torch.Tensor


def edges_of(targets: torch.Tensor) -> Edges:
    """The edges of targets (n, m); nan is no edge."""
    there = (~targets.isnan()).float()
    known = targets.nan_to_num(0.0)
    by_model = there.sum(0).clamp(min=1)
    by_prompt = there.sum(1, keepdim=True).clamp(min=1)
    apart = (known - known.sum(0) / by_model) * there
    return Edges((there / by_model).T, (apart / by_model).T, there / by_prompt, apart / by_prompt)


class Convolution(torch.nn.Module):
    """What a node makes of itself and of its neighbours: W x + mean over edges of (A x_j + e_j B x_j + e_j c).

    A score e along an edge has a message of its own (c, as in GraphRouter's) and weighs that of the node it comes from
    (B): without that a model would hear how it did, and what the prompts are like, but not on which of them.
    """

    def __init__(self, width: int):
        super().__init__()
        self.own = torch.nn.Linear(width, width)
        self.heard = torch.nn.Linear(width, width, bias=False)
        self.weighed = torch.nn.Linear(width, width, bias=False)
        self.edge = torch.nn.Linear(1, width, bias=False)

    def forward(
        self, nodes: torch.Tensor, senders: torch.Tensor, share: torch.Tensor, scores: torch.Tensor
    ) -> torch.Tensor:
        """New states (a, width) of nodes (a, width) that hear of senders (b, width) along edges (a, b)."""
        sums = scores.sum(dim=1, keepdim=True)
        out: torch.Tensor = self.own(nodes) + self.heard(share @ senders) + self.weighed(scores @ senders)
        return out + self.edge(sums)


class GraphNet(torch.nn.Module):
    """Features aligned to one width, then two convolutions; models end where they say how prompts suit them.

    The last layer's gain begins at 0, so that the network begins by saying nothing.

    Parameters
    ----------
    features : dimensions of a prompt's embedding.
    described : dimensions of a model's description.
    models : how many models have an embedding of their own, drawn from PyTorch's generator.
    hidden : width of a task's and of a prompt's part; a node has both.
    """

    def __init__(self, features: int, described: int, models: int, hidden: int):
        super().__init__()
        width = 2 * hidden
        self.task = torch.nn.Linear(features, hidden)
        self.prompt = torch.nn.Linear(features, hidden)
        self.description = torch.nn.Linear(described, width, bias=False)
        self.own = torch.nn.Parameter(torch.randn(models, width))
        self.first_models, self.first_prompts, self.second = (Convolution(width) for _ in range(3))
        self.norm_models, self.norm_prompts, self.norm = (torch.nn.LayerNorm(width) for _ in range(3))
        torch.nn.init.zeros_(self.norm.weight)

    def prompts(self, embeddings: torch.Tensor, tasks: torch.Tensor) -> torch.Tensor:
        """Prompts (n, width) before any message but that of their task, of embeddings and task features (n, d)."""
        return torch.cat([self.task(tasks), self.prompt(embeddings)], dim=1)

    def models(self, descriptions: torch.Tensor, has_own: torch.Tensor) -> torch.Tensor:
        """Models (m, width) before any message, of descriptions (m, p), or their own where ``has_own`` (m, 1) is 1."""
        aligned: torch.Tensor = self.description(descriptions) + has_own * self.own
        return aligned

    def once(self, prompts: torch.Tensor, models: torch.Tensor, edges: Edges) -> torch.Tensor:
        """Prompts (n, width) after the first convolution."""
        heard = self.first_prompts(prompts, models, edges.to_prompts, edges.scores_to_prompts)
        return leaky_relu(self.norm_prompts(heard))

    def twice(
        self, prompts: torch.Tensor, prompts_once: torch.Tensor, models: torch.Tensor, edges: Edges
    ) -> torch.Tensor:
        """Models (m, width) after both convolutions."""
        first = self.first_models(models, prompts, edges.to_models, edges.scores_to_models)
        first = leaky_relu(self.norm_models(first))
        last: torch.Tensor = self.norm(self.second(first, prompts_once, edges.to_models, edges.scores_to_models))
        return last

    def forward(
        self,
        prompts: torch.Tensor,
        tasks: torch.Tensor,
        edges: Edges,
        descriptions: torch.Tensor,
        has_own: torch.Tensor,
    ) -> torch.Tensor:
        """The models (m, width) as the whole graph leaves them."""
        before, models = self.prompts(prompts, tasks), self.models(descriptions, has_own)
        return self.twice(before, self.once(before, models, edges), models, edges)
