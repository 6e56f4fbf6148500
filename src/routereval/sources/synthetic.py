"""Synthetic benchmarks with planted skills: the truth is known, so estimators can be tested against it.

A multidimensional item-response model (Reckase 2009): prompt j demands the skills a_j (K shares that sum to one)
and has the difficulty b_j, model i has the abilities theta_i, and

    P(i answers j) = sigmoid(slope * (a_j . theta_i - b_j)).

The prompt's embedding is a random linear map of its demands plus noise, its text is made of words of the
demanded skills.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from routereval.data import store
from routereval.data.benchmark import BenchmarkData
from routereval.data.pools import select_pools
from routereval.data.queries import Queries
from routereval.data.scenario import Scenario
from routereval.data.scores import ScoreMatrix
from routereval.data.split import Split
from routereval.errors import ParameterError
from routereval.seeding import generator

_SKILLS = ("algebra", "code", "history", "biology", "law", "translation", "physics", "poetry")
_WORDS = (
    ("equation", "polynomial", "matrix", "integral", "prime", "fraction", "root", "proof"),
    ("loop", "function", "compiler", "array", "pointer", "exception", "recursion", "module"),
    ("empire", "treaty", "revolution", "dynasty", "archive", "century", "monarch", "colony"),
    ("cell", "enzyme", "genome", "membrane", "species", "protein", "neuron", "organism"),
    ("contract", "statute", "court", "liability", "appeal", "evidence", "clause", "verdict"),
    ("idiom", "grammar", "dialect", "verb", "subtitle", "accent", "proverb", "script"),
    ("force", "momentum", "photon", "entropy", "orbit", "voltage", "gravity", "wave"),
    ("metaphor", "sonnet", "rhyme", "stanza", "image", "rhythm", "verse", "allusion"),
)
_OPENINGS = ("Explain", "Compare", "Give an example of", "How do these go together:", "Write about")

_BLOCK = 512
"""Models scored at a time, so that memory does not grow with their number."""


@dataclass(frozen=True)
class SyntheticSpec:
    """How a synthetic benchmark is made; equal specs make equal data.

    Parameters
    ----------
    name : of the benchmark.
    prompts, models, skills, dimensions : N, M, K and the length of an embedding.
    sizes : m of the pools, each with every strategy.
    graded : scores are draws of a Beta distribution around P rather than of a coin.
    specialisation : spread of a model's abilities around its general one; 0 leaves nothing to route.
    slope : how sharply ability decides.
    noise : standard deviation of the embedding's noise, relative to the signal's.
    fractions : where train ends and where validation ends.
    seed : of everything.
    """

    name: str = "synthetic"
    prompts: int = 1000
    models: int = 1000
    skills: int = 6
    dimensions: int = 64
    sizes: tuple[int, ...] = (3, 5, 10, 100)
    graded: bool = False
    specialisation: float = 1.0
    slope: float = 2.0
    noise: float = 0.3
    fractions: tuple[float, float] = (0.8, 0.9)
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.prompts, self.models, self.skills, self.dimensions) < 1:
            raise ParameterError("a synthetic benchmark needs at least one prompt, model, skill and dimension")
        if self.skills > len(_WORDS):
            raise ParameterError(f"{self.skills} skills asked for; there are words for {len(_WORDS)}")


class Synthetic:
    """A synthetic benchmark together with the truth it was drawn from."""

    def __init__(self, spec: SyntheticSpec):
        self.spec = spec
        rng = generator("synthetic", spec.name, spec.seed)
        self.demands = rng.dirichlet(np.full(spec.skills, 0.3), size=spec.prompts)
        self.difficulties = rng.normal(0.0, 1.0, spec.prompts)
        general = rng.normal(0.0, 1.0, (spec.models, 1))
        self.abilities = general + spec.specialisation * rng.normal(0.0, 1.0, (spec.models, spec.skills))
        self._map = rng.normal(0.0, 1.0, (spec.skills, spec.dimensions))

    def success(self, prompts: NDArray[np.intp], models: NDArray[np.intp]) -> NDArray[np.float64]:
        """P(model answers prompt), the expected score, for these prompts x these models."""
        gap = self.demands[prompts] @ self.abilities[models].T - self.difficulties[prompts, None]
        probability: NDArray[np.float64] = 1 / (1 + np.exp(-self.spec.slope * gap))
        return probability

    def test_success(self, scenario: Scenario) -> NDArray[np.float64]:
        """Expected score of each of the pool's models on each test prompt of a scenario, (n, m)."""
        prompts = np.array([int(name) for name in scenario.test.queries.ids], dtype=np.intp)
        models = np.array([int(name.rsplit("-", maxsplit=1)[-1]) for name in scenario.pool.model_ids], dtype=np.intp)
        return self.success(prompts, models)

    def optimal_choices(self, scenario: Scenario) -> NDArray[np.intp]:
        """The optimal policy on a scenario: for each test prompt the model with the highest expected score, (n,)."""
        best: NDArray[np.intp] = np.argmax(self.test_success(scenario), axis=1)
        return best

    def optimal_score(self, scenario: Scenario) -> float:
        """The expected mu of the optimal policy; no router's expected mu is higher."""
        return float(self.test_success(scenario).max(axis=1).mean())

    @cached_property
    def data(self) -> BenchmarkData:
        """The benchmark, through the store."""
        key = store.content_key("synthetic", json.dumps(asdict(self.spec), sort_keys=True))
        return store.find(key) or store.save(self._draw(key))

    def _draw(self, key: str) -> BenchmarkData:
        spec = self.spec
        rng = generator("synthetic scores", spec.name, spec.seed)
        prompt_ids = tuple(map(str, range(spec.prompts)))
        model_ids = tuple(f"model-{i:04d}" for i in range(spec.models))
        scores = ScoreMatrix.from_dense(self.scores(rng), prompt_ids, model_ids)
        subjects = self.demands.argmax(axis=1)
        subsets = tuple(_SKILLS[s] for s in subjects)
        split = Split.stratified(subsets, spec.fractions, seed=np.random.RandomState(42))
        visible = np.sort(np.concatenate([split.train, split.val]))
        embeddings = self.embeddings(rng)
        return BenchmarkData(
            benchmark=spec.name,
            scores=scores,
            queries=Queries(prompt_ids, embeddings, self.texts(rng)),
            split=split,
            pools=select_pools(scores.rows(visible), spec.sizes) if spec.sizes else {},
            source=f"synthetic data ({spec.name})",
            data_hash=key,
            subsets=subsets,
            synthetic=True,
            reference_model=f"the best of all {spec.models} models",
            reference_score=float(scores.model_means.max()),
        )

    def scores(self, rng: np.random.Generator) -> NDArray[np.bool_] | NDArray[np.float32]:
        """Scores drawn around the expected ones, (prompts, models)."""
        spec = self.spec
        everyone = np.arange(spec.prompts)
        scores: NDArray[np.bool_] | NDArray[np.float32]
        scores = np.empty((spec.prompts, spec.models), dtype=np.float32 if spec.graded else np.bool_)
        for start in range(0, spec.models, _BLOCK):
            block = np.arange(start, min(start + _BLOCK, spec.models))
            probability = self.success(everyone, block)
            if spec.graded:
                inside = np.clip(probability, 1e-3, 1 - 1e-3)
                scores[:, block] = rng.beta(8 * inside, 8 * (1 - inside))
            else:
                scores[:, block] = rng.random(probability.shape) < probability
        return scores

    def embeddings(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """A random linear map of the demands, and noise, (prompts, dimensions)."""
        signal = self.demands @ self._map
        noise = rng.normal(0.0, self.spec.noise * signal.std(), signal.shape)
        return (signal + noise).astype(np.float32)

    def texts(self, rng: np.random.Generator) -> list[str]:
        """A text of words of the demanded skills for each prompt."""
        texts = []
        for demand in self.demands:
            topics = rng.choice(self.spec.skills, size=6, p=demand)
            words = [_WORDS[topic][int(rng.integers(len(_WORDS[topic])))] for topic in topics]
            texts.append(f"{_OPENINGS[int(rng.integers(len(_OPENINGS)))]} {', '.join(words[:-1])} and {words[-1]}.")
        return texts


DEMO: dict[str, SyntheticSpec] = {
    spec.name: spec
    for spec in (
        SyntheticSpec("demo_math", 300, 300, 4, 32, fractions=(0.6, 0.7), seed=1),
        SyntheticSpec("demo_code", 300, 300, 6, 32, specialisation=1.5, fractions=(0.6, 0.7), seed=2),
        SyntheticSpec("demo_chat", 300, 300, 5, 32, graded=True, noise=0.6, fractions=(0.6, 0.7), seed=3),
    )
}
"""The embedded benchmarks by name: small, several sizes of pools, one of them graded."""


def load(name: str) -> BenchmarkData:
    """A demo benchmark by name."""
    return Synthetic(DEMO[name]).data
