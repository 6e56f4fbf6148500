"""A graph of tasks, prompts and models, whose edges are scores: a new prompt's edges are predicted."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from routereval.data.prediction import Prediction, softmax
from routereval.data.queries import Queries
from routereval.data.scenario import Partition
from routereval.errors import DataError, ParameterError
from routereval.routers.clusters import directions
from routereval.routers.neural.batching import Indices, shuffled_batches
from routereval.routers.neural.checkpoints import asked_of, checkpoint_for
from routereval.routers.neural.descriptions import Description, read_descriptions, vector_of
from routereval.routers.neural.determinism import deterministic
from routereval.routers.neural.devices import Device, find_device
from routereval.routers.neural.extra import require_extra
from routereval.routers.neural.held_out import held_out
from routereval.routers.neural.loop import Validate
from routereval.routers.neural.loop import train as train_module
from routereval.routers.neural.mlc import cross_entropy
from routereval.routers.neural.modules import arrays_of, with_arrays
from routereval.routers.neural.settings import Settings
from routereval.routers.standardising import centre_and_scale, standardised
from routereval.routers.training import NEVER, log_odds

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float32]
Features = tuple[Floats, Floats]
"""Of prompts and of their tasks, (n, d) each."""

_HEARD = 2048
"""Prompts that send messages in a step of training: a mean over more says little more, and takes longer."""


@dataclass
class Graph:
    """Messages along the scores between prompts and models, and a product of both to predict more (Feng et al. 2025).

    Nodes are tasks (the benchmark's subsets; one, where it has none), training prompts and models. Features are
    aligned to one width: a task's is the mean embedding of its prompts, a prompt's its embedding beside its task's, a
    model's its description, or a learned embedding. Two graph convolutions pass messages along the observed scores e::

        x_i' = LayerNorm(W x_i + mean over its edges of (A x_j + e_ij B x_j + e_ij c))

    and ``P(model t is right on x) = sigmoid(log odds of its train mean + x_0 . x_t)``, where x_0 is the prompt as
    aligned and x_t the model after both convolutions: a new prompt hears of nobody, and no other prompt hears of it.

    An epoch deals the training prompts into groups. Each is hidden in turn, and its edges predicted from all others, or
    from 2048 of them drawn anew each time, by binary cross-entropy. It begins at ``best_single``; validation prompts
    (one training prompt in five, where there are none) say when to stop and which epoch's weights are kept.

    Parameters
    ----------
    hidden : width of a prompt's part and of its task's.
    mask : the share of the prompts that is hidden at a time.
    edge : ``dot``, the sum of products of both ends' features, or their ``mean``, as published.
    learning_rate, weight_decay : of AdamW; published are 0.001 and 0.0001. A mean learns more slowly than a sum.
    epochs : at most.
    patience : stop after so many epochs without a better validation score.
    descriptions : a file that describes models: ``.json`` (model to text, or to a list of numbers) or ``.csv`` (model
        and text, or numbers). A model without a description has a learned embedding. Empty: all have.
    device : where to train, as PyTorch names it; empty: CUDA if there is any, else MPS, else the CPU.
    checkpoint_seconds : the state of a fit is kept on disk so often, and a fit that was killed carries on; None: not.
    seed : of initial weights and order.
    """

    columnwise: ClassVar[bool] = False
    incidental: ClassVar[frozenset[str]] = frozenset({"device", "checkpoint_seconds"})
    reads_files: ClassVar[tuple[str, ...]] = ("descriptions",)
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "learning_rate": (3e-4, 1e-4, 1e-3),
        "edge": ("dot", "mean"),
        "hidden": (64, 32),
        "mask": (0.3, 0.1),
    }
    hidden: int = 64
    mask: float = 0.3
    edge: Literal["dot", "mean"] = "dot"
    learning_rate: float = 3e-4
    weight_decay: float = 1e-4
    epochs: int = 100
    patience: int = 10
    descriptions: str = ""
    device: str = ""
    checkpoint_seconds: float | None = None
    seed: int = 0

    def fit(self, train: Partition, val: Partition | None = None) -> Self:
        """Learn how messages are made; ``val`` says when to stop.

        Learned: ``weights_`` by name, ``states_`` (m, 2 x hidden) and ``levels_`` (m,) of the models, ``tasks_``.

        Raises
        ------
        ParameterError : a parameter that cannot be.
        DataError : descriptions that cannot be read.
        MissingDataError : no embeddings, no extra.
        """
        settings = self._settings()
        embeddings = train.queries.require_embeddings()
        require_extra("graph")
        device = find_device(self.device)
        self.models_ = train.model_ids
        self.unseen_ = np.isnan(train.target_means)
        self.levels_ = log_odds(train.target_means, len(train))
        self._learn_scale(embeddings, train.queries.subsets)
        self._describe()
        prompts = self._features(train.queries)
        with deterministic("graph", self.seed, "initial"):
            module = self._initial(prompts[0].shape[1])
        targets = np.array(train.targets)  # PyTorch takes no array that cannot be written to
        judge, rows = self._judge(targets, val, prompts, device)
        if len(rows):
            hidden = max(1, round(self.mask * len(rows)))
            train_module(
                module,
                lambda module, index: self._loss(module, prompts, targets, rows, index, device),
                lambda rng: shuffled_batches(len(rows), hidden, rng),
                settings,
                names=("graph", self.seed),
                device=device,
                validate=judge,
                checkpoint=checkpoint_for("graph", self._identity(), self.checkpoint_seconds, train, val),
            )
        self._keep(module.to("cpu"), prompts, targets)
        return self

    def predict(self, queries: Queries) -> Prediction:
        """Probabilities that the models are right, (n, m); the softmax of their log odds."""
        embeddings, tasks = self._features(queries)
        parts = [
            features @ self.weights_[f"{name}.weight"].T + self.weights_[f"{name}.bias"]
            for name, features in (("task", tasks), ("prompt", embeddings))
        ]
        logits = self._logits(np.concatenate(parts, axis=1), self.states_)
        return Prediction(1 / (1 + np.exp(-logits)), softmax(logits))

    def with_model(self, name: str, description: Description, scores: NDArray[np.floating] | None = None) -> Graph:
        """This router with one more model, which it never saw in training; the others' scores stay.

        Parameters
        ----------
        name : of the model; it becomes the last column.
        description : a text, or numbers, as the file of descriptions has them.
        scores : (n,) its scores on the training prompts, nan where there is none. None: it is taken to have had those
            of the known model whose description is nearest by cosine.

        Raises
        ------
        ParameterError : the router was fitted without descriptions, or has a model of that name.
        DataError : a description or scores of another length, or out of range.
        """
        if not self.described_.any():
            raise ParameterError("graph was fitted without descriptions, so it can tell nothing of a new model")
        if name in self.models_:
            raise ParameterError(f"graph has a model {name!r} already")
        require_extra("graph")
        vector = vector_of(description, name)
        if len(vector) != len(self.description_centre_):
            raise DataError(
                f"{name} is described by {len(vector)} numbers, the others by {len(self.description_centre_)}"
            )
        vector = self._standard_descriptions(vector[None])
        column = self._column(vector, scores)
        more = copy.copy(self)
        more.models_ = (*self.models_, name)
        unseen = np.isnan(column).all()
        mean = np.nan if unseen else np.nanmean(column.astype(np.float64))
        more.levels_ = np.append(self.levels_, log_odds(np.array([mean]), len(column)))
        more.unseen_ = np.append(self.unseen_, unseen)
        more.described_ = np.append(self.described_, True)
        more.descriptions_ = np.concatenate([self.descriptions_, vector])
        more.targets_ = np.concatenate([self.targets_, column[:, None]], axis=1)
        more.states_ = np.concatenate([self.states_, self._new_state(vector, column)])
        return more

    def _settings(self) -> Settings:
        """How to train, checked."""
        if self.hidden < 1:
            raise ParameterError(f"graph has hidden = {self.hidden}; it must be at least 1")
        if not 0 < self.mask < 1:
            raise ParameterError(f"graph has mask = {self.mask}; it must be above 0 and below 1")
        if self.edge not in ("mean", "dot"):
            raise ParameterError(f"graph has edge = {self.edge!r}; expected mean or dot")
        if self.patience < 1:
            raise ParameterError(f"graph has patience = {self.patience}; it must be at least 1")
        return Settings(
            epochs=self.epochs,
            batch=2**31,  # the prompts that are hidden at a time are one step
            learning_rate=self.learning_rate,
            warmup=0,
            weight_decay=self.weight_decay,
            patience=self.patience,
        ).check("graph")

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint must have been made with to be carried on from."""
        return asked_of(self) | {"described": self.descriptions_.tolist()}

    def _learn_scale(self, embeddings: Floats, subsets: tuple[str, ...] | None) -> None:
        """What makes embeddings features, and the feature of each task: the mean of its training prompts."""
        self.centre_, self.scale_ = centre_and_scale(embeddings)
        self.tasks_ = tuple(sorted(set(subsets or ())))
        place = {task: i for i, task in enumerate(self.tasks_)}
        features = self._standard(embeddings)
        # The last row is the mean of all, 0, for what is of no known task.
        self.task_features_ = np.zeros((len(self.tasks_) + 1, features.shape[1]), dtype=np.float32)
        member = np.array([place[subset] for subset in subsets or ()])
        for i in range(len(self.tasks_)):
            self.task_features_[i] = features[member == i].mean(axis=0, dtype=np.float64)

    def _standard(self, embeddings: Floats) -> Floats:
        """Embeddings centred, with dimensions of about unit variance."""
        return standardised(embeddings, self.centre_, self.scale_) * np.float32(np.sqrt(embeddings.shape[1]))

    def _features(self, queries: Queries) -> Features:
        """Features of the queries and of their tasks, (n, d) each."""
        features = self._standard(queries.require_embeddings())
        place = {task: i for i, task in enumerate(self.tasks_)}
        known = [place.get(subset, -1) for subset in queries.subsets or ()] or [-1] * len(queries)
        return features, self.task_features_[known]

    def _describe(self) -> None:
        """The models' descriptions (m, p), standardised; p is 1 and all of it 0 where there are none."""
        m = len(self.models_)
        raw, self.described_ = np.zeros((m, 1), dtype=np.float32), np.zeros(m, dtype=np.bool_)
        if self.descriptions:
            raw, self.described_ = read_descriptions(self.descriptions, self.models_)
        known = raw[self.described_] if self.described_.any() else raw
        self.description_centre_, self.description_scale_ = centre_and_scale(known)
        self.descriptions_ = self._standard_descriptions(raw)
        self.descriptions_[~self.described_] = 0

    def _standard_descriptions(self, raw: Floats) -> Floats:
        moved = standardised(raw, self.description_centre_, self.description_scale_)
        return moved * np.float32(np.sqrt(raw.shape[1]))

    def _initial(self, features: int) -> Any:
        from routereval.routers.neural.message_passing import GraphNet

        return GraphNet(features, self.descriptions_.shape[1], len(self.models_), self.hidden)

    def _states(self, module: torch.nn.Module, prompts: Features, targets: Floats, device: Device) -> torch.Tensor:
        """The models as the graph of these prompts and targets leaves them, (m, 2 x hidden)."""
        import torch

        from routereval.routers.neural.message_passing import edges_of

        own = ~self.described_[:, None]
        arrays = (*prompts, targets, self.descriptions_, own.astype(np.float32))
        embeddings, tasks, scores, descriptions, has_own = (torch.from_numpy(a).to(device.name) for a in arrays)
        states: torch.Tensor = module(embeddings, tasks, edges_of(scores), descriptions, has_own)
        return states

    def _loss(
        self,
        module: Any,
        prompts: Features,
        targets: Floats,
        rows: Indices,
        index: Indices,
        device: Device,
    ) -> torch.Tensor:
        """Binary cross-entropy of the hidden prompts' edges, mean over each one's observed models, then over them."""
        import torch

        hidden, seen = rows[index], np.delete(rows, index)
        if len(seen) > _HEARD:
            seen = seen[np.sort(torch.randperm(len(seen))[:_HEARD].numpy())]
        states = self._states(module, (prompts[0][seen], prompts[1][seen]), targets[seen], device).float()
        of_hidden = (torch.from_numpy(features[hidden]).to(device.name) for features in prompts)
        ends = module.prompts(*of_hidden).float()
        logits = torch.from_numpy(self.levels_).to(device.name) + ends @ states.T * self._factor()
        wanted = torch.from_numpy(targets[hidden]).to(device.name)
        there = ~wanted.isnan()
        losses = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, wanted.nan_to_num(0.0), weight=there.float(), reduction="none"
        )
        return (losses.sum(1) / there.sum(1).clamp(min=1)).mean()

    def _judge(
        self, targets: Floats, val: Partition | None, prompts: Features, device: Device
    ) -> tuple[Validate, Indices]:
        """What says how good the module is, and the training prompts that are left to learn from."""
        import torch

        rows = np.arange(len(targets))
        if val is not None and len(val):
            theirs, wanted = self._features(val.queries), val.targets
        else:
            rows, aside = held_out(len(targets), "graph", self.seed)
            theirs, wanted = (prompts[0][aside], prompts[1][aside]), targets[aside]
        graph = (prompts[0][rows], prompts[1][rows]), targets[rows]

        def score(module: Any) -> float:
            states = self._states(module, *graph, device).float().cpu().numpy()
            ends = module.prompts(*(torch.from_numpy(features).to(device.name) for features in theirs))
            return -cross_entropy(self._logits(ends.float().cpu().numpy(), states), wanted)

        return score, rows

    def _logits(self, ends: Floats, states: Floats) -> NDArray[np.float64]:
        """Log odds (n, m) of prompts as aligned (n, w) and models after the convolutions (m, w)."""
        logits = self.levels_ + ends.astype(np.float64) @ states.T.astype(np.float64) * self._factor()
        logits[:, self.unseen_] = NEVER
        return logits

    def _factor(self) -> float:
        """What makes a sum of products over the features what ``edge`` says."""
        return 1 / (2 * self.hidden) if self.edge == "mean" else 1.0

    def _keep(self, module: Any, prompts: Features, targets: Floats) -> None:
        """What predicting needs; and what a new model would, where there are descriptions to know it by."""
        import torch

        from routereval.routers.neural.message_passing import edges_of

        self.weights_ = arrays_of(module)
        with torch.no_grad():
            self.states_ = self._states(module, prompts, targets, Device("cpu")).numpy().copy()
            if not self.described_.any():
                return
            before = module.prompts(*(torch.from_numpy(features) for features in prompts))
            own = torch.from_numpy(~self.described_[:, None]).float()
            models = module.models(torch.from_numpy(self.descriptions_), own)
            once = module.once(before, models, edges_of(torch.from_numpy(np.array(targets))))
        self.targets_ = np.array(targets)
        self.prompts_, self.prompts_once_ = before.numpy().copy(), once.numpy().copy()

    def _column(self, vector: Floats, scores: NDArray[np.floating] | None) -> Floats:
        """A new model's scores on the training prompts (n,): those given, or those of the model nearest to it."""
        if scores is None:
            likeness = directions(self.descriptions_) @ directions(vector)[0]
            # Equal to the bit is nearer than near.
            likeness[(self.descriptions_ == vector).all(axis=1)] = np.inf
            nearest = int(np.argmax(np.where(self.described_, likeness, -np.inf)))
            return np.ascontiguousarray(self.targets_[:, nearest])
        column = np.asarray(scores, dtype=np.float32)
        if column.shape != (len(self.targets_),):
            raise DataError(
                f"scores have shape {column.shape}; expected ({len(self.targets_)},), one per training prompt"
            )
        if np.isinf(column).any() or np.nanmin(column, initial=0) < 0 or np.nanmax(column, initial=1) > 1:
            raise DataError("scores of a new model must be 0 to 1, or nan where there is none")
        return column

    def _new_state(self, vector: Floats, column: Floats) -> Floats:
        """What the trained network makes of one more model, the prompts left as they are, (1, 2 x hidden)."""
        import torch

        from routereval.routers.neural.message_passing import edges_of

        module = with_arrays(self._initial_like(), self.weights_)
        with torch.no_grad():
            arrays = (self.prompts_, self.prompts_once_, column[:, None])
            before, once, scores = (torch.from_numpy(np.array(values)) for values in arrays)
            state = module.twice(before, once, module.description(torch.from_numpy(vector)), edges_of(scores))
        states: Floats = state.numpy().copy()
        return states

    def _initial_like(self) -> Any:
        """A network of the shape of the one that was trained; its weights are still to be set."""
        import torch

        from routereval.routers.neural.message_passing import GraphNet

        trained = len(self.weights_["own"])
        with torch.random.fork_rng(devices=[]):
            return GraphNet(self.task_features_.shape[1], self.descriptions_.shape[1], trained, self.hidden)
