"""Prompts and models in one space, learned by contrast: a prompt near the models that are right on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from routereval.data.prediction import Prediction, softmax
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import ParameterError
from routereval.protocols import STRICT
from routereval.routers.clusters import as_many_as_there_are, check_positive, directions, k_means
from routereval.routers.neural.batching import Indices, bucketed_batches, padded, shuffled_batches, sorted_batches
from routereval.routers.neural.checkpoints import asked_of, checkpoint_for
from routereval.routers.neural.determinism import deterministic, seed_of
from routereval.routers.neural.devices import Device, find_device
from routereval.routers.neural.extra import require_extra
from routereval.routers.neural.held_out import held_out
from routereval.routers.neural.loop import Validate
from routereval.routers.neural.loop import train as train_module
from routereval.routers.neural.memory import in_parts
from routereval.routers.neural.modules import arrays_of, built
from routereval.routers.neural.pretrained import Pretrained, mean_of_tokens, module_of, pretrained, rebuilt
from routereval.routers.neural.settings import Settings
from routereval.routers.neural.tokens import Tokens, Truncation, require_texts, tokenised
from routereval.routers.training import NEVER, log_odds

if TYPE_CHECKING:
    import torch

    from routereval.routers.neural.contrast import DualEncoder

_PREDICTED = 32
"""Prompts that go through the network together in predicting, where they fit."""
_ROUND = 25
"""At least so many steps lie between two looks at the validation prompts."""
_DRAWS = 8
"""How often equal scores are put in order, to judge by more than one order."""


@dataclass
class RouterDC:
    """The cosine of a prompt's encoding and a learned embedding of each model (Chen et al. 2024).

    ``f_t(x) = cos(E(x), k_t) / temperature + b_t``, E the encoder's first token, learned by two contrasts::

        sample-LLM     sum over good models i of  -log softmax of f_i(x) among f_i(x) and those of the bad models
        sample-sample  -log softmax of cos(E(x), E(x+)) among that and cos(E(x), E(x-)) of some x-

    Good are ``top_k`` of the highest scores above 0, bad ``last_k`` of the lowest up to 0.5; equal scores are drawn. x+
    is a prompt of the batch from the same cluster of training prompts, x- are from others; clusters are of the means
    over tokens that the encoder gives before it learns, by k-means. A batch too large for memory is compared in parts.

    As ``paper`` has it (``training=published``): no b, AdamW at one rate, the last weights, the first tokens.

    As ``strict`` has it (``validated``): b begins so that a model's mean f is the log odds of its train mean, which is
    all but ``best_single``; the models' embeddings learn 20 times faster than the encoder; the sample-LLM loss of
    the validation prompts (of one training prompt in five, where there are none) says when to stop and which weights
    are kept, the first ones included.

    Parameters
    ----------
    model : an encoder: a name on Hugging Face, a folder, or ``minilm``.
    training : ``published``, ``validated``, or as the protocol says.
    truncation : whether the ``first`` or the ``last`` tokens of a prompt that is too long are read, or as the protocol
        says.
    top_k, last_k : how many good and bad models each prompt compares.
    clusters : of training prompts; as many as there are prompts, where these are fewer.
    negatives : how many prompts of other clusters each is compared with.
    weight : of the sample-sample loss.
    temperature : of cosines, in both losses.
    steps : about so many, of ``batch`` prompts each; at most, where validation stops early.
    learning_rate : of the encoder.
    max_tokens : so many of a prompt are read.
    device : as PyTorch names it; empty: CUDA if there is any, else MPS, else the CPU.
    checkpoint_seconds : the state of a fit is kept on disk so often, and a fit that was killed carries on; None: not.
    seed : of the models' initial embeddings, clusters, order, dropout and draws.
    """

    columnwise: ClassVar[bool] = False
    needs_embeddings: ClassVar[bool] = False
    incidental: ClassVar[frozenset[str]] = frozenset({"device", "checkpoint_seconds"})
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "temperature": (1.0, 0.2),
        "learning_rate": (5e-5, 2e-5, 2e-4),
        "weight": (1.0, 0.0),
    }
    model: str = "microsoft/mdeberta-v3-base"
    training: Literal["protocol", "published", "validated"] = "protocol"
    truncation: Truncation = "protocol"
    top_k: int = 3
    last_k: int = 3
    clusters: int = 5
    negatives: int = 3
    weight: float = 1.0
    temperature: float = 1.0
    steps: int = 500
    batch: int = 64
    learning_rate: float = 5e-5
    max_tokens: int = 512
    device: str = ""
    checkpoint_seconds: float | None = None
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Learn the encoder and the models' embeddings; ``val`` says when to stop.

        Learned: ``weights_`` of the encoder by name, ``models_`` (m, d), ``levels_`` (m,), ``notes_``.

        Raises
        ------
        ParameterError : a parameter that cannot be.
        MissingDataError : no texts, no extra, no weights.
        """
        self._check()
        texts = require_texts("routerdc", train.queries)
        require_extra("routerdc")
        device = find_device(self.device)
        encoder = pretrained(self.model, self.max_tokens)
        self.encoder_ = encoder.state
        self.unseen_ = np.isnan(train.target_means)
        tokens = self._tokens(texts)
        with deterministic("routerdc", self.seed, "initial"):
            module, clusters = self._initial(encoder, tokens, train, device)
        judge, rows = None, np.arange(len(train))
        if self._rule("training") == "validated":
            judge, rows = self._judge(train, val, tokens, device)
        targets = train.targets
        if len(rows):
            passes, settings = self._settings(len(rows))
            train_module(
                module,
                lambda module, index: self._loss(module, tokens, targets, clusters, rows[index], device),
                lambda rng: self._batches(tokens.lengths[rows], passes, rng),
                settings,
                names=("routerdc", self.seed),
                device=device,
                validate=judge,
                checkpoint=checkpoint_for("routerdc", self._identity(), self.checkpoint_seconds, train, val),
                is_head=lambda name: not name.startswith("encoder."),
            )
        self.weights_ = arrays_of(module.encoder)
        self.models_ = directions(module.models.detach().cpu().numpy())
        self.levels_ = module.levels.detach().cpu().numpy().copy()
        self.notes_ = self._notes(tokens)
        return self

    def predict(self, queries: Queries) -> Prediction:
        """Cosines over the temperature plus levels, (n, m), and their softmax."""
        require_extra("routerdc")
        device = find_device(self.device, or_another=True)
        tokens = self._tokens(require_texts("routerdc", queries))
        state = self.encoder_
        encoder = built(self, self.weights_, lambda: rebuilt(state["config"], "encoder", self.weights_).to(device.name))
        first, _ = self._encoded(encoder, tokens, device)
        scores = directions(first).astype(np.float64) @ self.models_.T.astype(np.float64) / self.temperature
        scores += self.levels_
        scores[:, self.unseen_] = NEVER
        return Prediction(scores, softmax(scores))

    def _rule(self, name: str) -> Any:
        """A parameter; where it is left to the protocol and nobody filled it in, what ``strict`` says."""
        value = getattr(self, name)
        return getattr(STRICT, name) if value == "protocol" else value

    def _check(self) -> None:
        for name, allowed in (("training", ("published", "validated")), ("truncation", ("first", "last"))):
            if self._rule(name) not in allowed:
                raise ParameterError(f"routerdc has {name} = {getattr(self, name)!r}; expected {' or '.join(allowed)}")
        for name, least in (("top_k", 1), ("last_k", 1), ("negatives", 1), ("steps", 1), ("clusters", 1)):
            if getattr(self, name) < least:
                raise ParameterError(f"routerdc has {name} = {getattr(self, name)}; it must be at least {least}")
        if self.max_tokens < 8:
            raise ParameterError(f"routerdc has max_tokens = {self.max_tokens}; it must be at least 8")
        if not 0 <= self.weight < np.inf:
            raise ParameterError(f"routerdc has weight = {self.weight}; it must be 0 or more")
        check_positive("routerdc", temperature=self.temperature)
        self._settings(1)

    def _settings(self, n: int) -> tuple[int, Settings]:
        """How often the n prompts are gone through between two judgements, and how to train."""
        per_pass = -(-n // max(1, self.batch))
        passes = -(-min(_ROUND, self.steps) // per_pass)
        published = self._rule("training") == "published"
        settings = Settings(
            epochs=max(1, round(self.steps / (passes * per_pass))),
            batch=self.batch,
            learning_rate=self.learning_rate,
            warmup=0 if published else 0.1,
            decay="constant" if published else "linear",
            weight_decay=0.01,
            clip=0 if published else 1,
            patience=0 if published else 3,
            head_factor=1 if published else 20,
        )
        return passes, settings.check("routerdc")

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint must have been made with to be carried on from."""
        return asked_of(self) | {name: self._rule(name) for name in ("training", "truncation")}

    def _tokens(self, texts: Sequence[str]) -> Tokens:
        return tokenised(self.encoder_["tokenizer"], texts, self.encoder_["limit"], self._rule("truncation"))

    def _initial(
        self, encoder: Pretrained, tokens: Tokens, train: Partition, device: Device
    ) -> tuple[DualEncoder, NDArray[np.int32]]:
        """The module before it learns, and the cluster of each training prompt."""
        import torch

        from routereval.routers.neural.contrast import DualEncoder

        validated = self._rule("training") == "validated"
        network = module_of(encoder, "encoder")
        module = DualEncoder(network, len(train.model_ids), self.temperature, levels=validated).to(device.name)
        module.eval()
        first, means = self._encoded(module.encoder, tokens, device)
        _, clusters = k_means(means, as_many_as_there_are("routerdc", self.clusters, len(train)), self.seed)
        if validated:
            cosines = directions(first).mean(axis=0) @ directions(module.models.detach().cpu().numpy()).T
            levels = log_odds(train.target_means, len(train)) - cosines / self.temperature
            with torch.no_grad():
                module.levels.copy_(torch.from_numpy(levels.astype(np.float32)))
        return module, clusters

    def _batches(self, lengths: NDArray[np.int64], passes: int, rng: np.random.Generator) -> list[Indices]:
        """Plainly shuffled as published; else of like length, which is faster."""
        if self._rule("training") == "published":
            return [batch for _ in range(passes) for batch in shuffled_batches(len(lengths), self.batch, rng)]
        return [batch for _ in range(passes) for batch in bucketed_batches(lengths, self.batch, rng)]

    def _loss(
        self,
        module: torch.nn.Module,
        tokens: Tokens,
        targets: NDArray[np.float32],
        clusters: NDArray[np.int32],
        index: Indices,
        device: Device,
    ) -> torch.Tensor:
        """Both losses, mean over these prompts."""
        import torch

        from routereval.routers.neural.contrast import sample_llm_loss, sample_sample_loss

        ids, mask = padded(tokens, index, self.encoder_["pad"], device.name)
        # Drawn on the CPU, so that every device draws the same.
        draws = torch.rand(len(index), targets.shape[1]), torch.rand(len(index), len(index))
        order, others = (drawn.to(device.name) for drawn in draws)
        prompts, logits = module(ids, mask)
        wanted = torch.from_numpy(targets[index]).to(device.name)
        loss = sample_llm_loss(logits, wanted, order, self.top_k, self.last_k)
        if self.weight:
            group = torch.from_numpy(clusters[index]).to(device.name)
            loss = loss + self.weight * sample_sample_loss(prompts, group, others, self.negatives, self.temperature)
        return loss

    def _judge(
        self, train: Partition, val: Partition | None, tokens: Tokens, device: Device
    ) -> tuple[Validate, Indices]:
        """What says how good the module is, and the training prompts that are left to learn from."""
        import torch

        from routereval.routers.neural.contrast import sample_llm_loss

        theirs, targets, index, rows = tokens, train.targets, np.arange(len(train)), np.arange(len(train))
        if val is not None and len(val):
            theirs = self._tokens(require_texts("routerdc", val.queries))
            targets, index = val.targets, np.arange(len(val))
        else:
            rows, index = held_out(len(train), "routerdc", self.seed)
        wanted = torch.from_numpy(targets[index])
        draw = torch.Generator().manual_seed(seed_of("routerdc", self.seed, "judged"))
        orders = [torch.rand(wanted.shape, generator=draw) for _ in range(_DRAWS)]

        def score(module: Any) -> float:
            first, _ = self._encoded(module.encoder, theirs, device, index)
            cosines = directions(first) @ directions(module.models.detach().cpu().numpy()).T
            logits = torch.from_numpy(cosines / self.temperature) + module.levels.cpu()
            losses = [sample_llm_loss(logits, wanted, order, self.top_k, self.last_k) for order in orders]
            return -float(torch.stack(losses).mean())

        return score, rows

    def _encoded(
        self, encoder: torch.nn.Module, tokens: Tokens, device: Device, index: Indices | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The first token and the mean over tokens of these prompts, or of all, each (n, d)."""
        import torch

        index = np.arange(len(tokens)) if index is None else index

        def one(part: Indices) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            ids, mask = padded(tokens, index[part], self.encoder_["pad"], device.name)
            with torch.no_grad(), device.autocast():
                hidden = encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
            return hidden[:, 0].cpu().numpy(), mean_of_tokens(hidden, mask).cpu().numpy()

        width = int(encoder.config.hidden_size)
        first, means = (np.zeros((len(index), width), dtype=np.float32) for _ in range(2))
        for part, (of_first, of_means) in in_parts(sorted_batches(tokens.lengths[index], _PREDICTED), one):
            first[part], means[part] = of_first, of_means
        return first, means

    def _notes(self, tokens: Tokens) -> tuple[str, ...]:
        if not tokens.cut:
            return ()
        return (
            f"routerdc read the {self._rule('truncation')} {self.encoder_['limit']} tokens of {tokens.cut} of "
            f"{len(tokens)} training prompts: they have more",
        )
