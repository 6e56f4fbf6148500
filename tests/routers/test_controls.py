"""Controls: what a router scores that cannot know the prompt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

import routereval as rv
from routereval.errors import MissingDataError, ParameterError, UnknownNameError
from routereval.policies import PolicySpec
from routereval.routers.controls import Majority, PromptLength, RandomEmbeddings, ShuffledLabels, SubsetOnly
from routereval.routers.saving import load_router, save_router
from routereval.sources.synthetic import Synthetic, SyntheticSpec


@dataclass
class Recorder:
    """Keeps what it is given."""

    columnwise: ClassVar[bool] = False
    seed: int = 0

    def fit(self, train: rv.Partition, val: rv.Partition | None = None) -> Recorder:
        self.train_, self.val_ = train, val
        return self

    def predict(self, queries: rv.Queries) -> rv.Prediction:
        self.asked_ = queries
        return rv.Prediction(np.zeros((len(queries), len(self.train_.model_ids))))


WRAPPERS = [ShuffledLabels, RandomEmbeddings]


@pytest.fixture(scope="module")
def easy() -> rv.Scenario:
    spec = SyntheticSpec(
        "easy", prompts=400, models=60, skills=3, dimensions=16, sizes=(5,), specialisation=2, noise=0.1
    )
    return Synthetic(spec).data.scenario("strong_to_weak", 5)


def part(scores: list[list[float]], **queries: object) -> rv.Partition:
    n, m = len(scores), len(scores[0])
    ids = tuple(map(str, range(n)))
    matrix = rv.ScoreMatrix.from_dense(np.array(scores, dtype=float), ids, tuple("abcdefgh"[:m]), missing=True)
    return rv.Partition(rv.Queries(ids, **queries), matrix)  # type: ignore[arg-type]


# Shuffled labels and random embeddings


@pytest.mark.parametrize("cls", WRAPPERS)
def test_without_the_prompt_a_router_gains_nothing(cls: type, easy: rv.Scenario) -> None:
    best = rv.evaluate(rv.BestSingle(), easy).mu
    assert rv.evaluate(rv.KNN(k=20), easy).mu > best + 0.03
    assert rv.evaluate(cls("knn:k=20"), easy).mu < best + 0.02


def test_shuffled_labels_keep_each_prompts_scores_together_and_the_models_means(easy: rv.Scenario) -> None:
    given = ShuffledLabels(Recorder()).fit(easy.train, easy.val).inner_.train_
    said, real = given.targets, easy.train.targets
    assert given.queries is easy.train.queries
    assert not np.array_equal(said, real)
    assert sorted(map(tuple, said)) == sorted(map(tuple, real))
    assert np.array_equal(given.target_means, easy.train.target_means)
    again, other = (ShuffledLabels(Recorder(), seed=seed).fit(easy.train).inner_.train_.targets for seed in (0, 1))
    assert np.array_equal(said, again)
    assert not np.array_equal(said, other)


def test_validation_prompts_say_nothing_either(easy: rv.Scenario) -> None:
    assert easy.val is not None
    shuffled = ShuffledLabels(Recorder()).fit(easy.train, easy.val).inner_.val_
    assert not np.array_equal(shuffled.targets, easy.val.targets)
    random = RandomEmbeddings(Recorder()).fit(easy.train, easy.val).inner_.val_
    assert not np.array_equal(random.queries.embeddings, easy.val.queries.embeddings)
    assert random.scores is easy.val.scores


def test_shuffled_labels_shuffle_what_is_learnt_where_labels_came_with_the_data() -> None:
    train = part([[0.2, 0.4], [0.9, 0.1], [0.3, 0.3]])
    labels = np.array([[0, 1], [1, 0], [1, 1]], dtype=np.float32)
    given = ShuffledLabels(Recorder()).fit(rv.Partition(train.queries, train.scores, labels)).inner_.train_
    assert sorted(map(tuple, given.targets)) == sorted(map(tuple, labels))


def test_the_same_text_has_the_same_random_vector_as_long_as_a_real_one() -> None:
    vectors = np.array([[3, 4], [0, 5], [5, 0]], dtype=np.float32)
    train = part([[1, 0], [0, 1], [1, 1]], embeddings=vectors, texts=["one", "two", "one"])
    router = RandomEmbeddings(Recorder()).fit(train)
    given = router.inner_.train_.queries.embeddings
    assert np.array_equal(given[0], given[2])
    assert not np.allclose(given[0], given[1])
    np.testing.assert_allclose(np.linalg.norm(given, axis=1), 5, rtol=1e-6)
    # A query has the vector of its text, whatever its embedding.
    router.predict(rv.Queries(("q",), np.array([[9, 9]], dtype=np.float32), ["two"]))
    assert np.array_equal(router.inner_.asked_.embeddings[0], given[1])
    # Without texts the id names the prompt.
    bare = RandomEmbeddings(Recorder()).fit(part([[1, 0], [0, 1], [1, 1]], embeddings=vectors)).inner_.train_.queries
    assert len(np.unique(bare.embeddings, axis=0)) == 3


@pytest.mark.parametrize("cls", WRAPPERS)
def test_a_control_is_columnwise_if_its_router_is(cls: type) -> None:
    assert cls("knn").columnwise
    assert not cls("mlp").columnwise
    assert not cls(rv.MLP()).columnwise


@pytest.mark.parametrize("cls", WRAPPERS)
def test_the_router_inside_gets_the_seed_of_the_run(cls: type, easy: rv.Scenario) -> None:
    assert cls(Recorder(), seed=7).fit(easy.train).inner_.seed == 7
    assert cls(rv.KNN()).fit(easy.train).inner_.ties == "train_mean"


def test_the_router_inside_has_parameters_too() -> None:
    spec = PolicySpec.parse("shuffled_labels:router=knn:k=7")
    assert spec.params == {"router": "knn:k=7"}
    with pytest.raises(UnknownNameError, match="did you mean 'knn'"):
        _ = PolicySpec.parse("shuffled_labels:router=kn").build().columnwise


# Prompt length


def test_prompt_length_says_the_shrunk_mean_of_prompts_as_long() -> None:
    # One bin, cut in two at the median of words (2): cells of the prompts with 1, 2 words and with 3, 4.
    train = part([[1, 0], [1, 0], [0, 1], [0, np.nan]], texts=["a", "a b", "a b c", "a b c d"])
    router = PromptLength(bins=1, shrinkage=2).fit(train)
    said = router.predict(rv.Queries(("p", "q"), texts=["x", "x y z"])).scores
    # a: mean 1/2; cells (2 + 2/2) / 4 and (0 + 2/2) / 4. b: mean 1/3; (0 + 2/3) / 4 and (1 + 2/3) / 3.
    np.testing.assert_allclose(said, [[3 / 4, 1 / 6], [1 / 4, 5 / 9]])


def test_prompt_length_learns_where_length_decides() -> None:
    texts = ["word " * (1 + i % 40) for i in range(400)]
    long = np.array([float(i % 40 >= 20) for i in range(400)])
    router = PromptLength().fit(part(np.stack([long, 1 - long], axis=1).tolist(), texts=texts))
    said = router.predict(rv.Queries(tuple(map(str, range(400))), texts=texts)).scores
    assert np.mean(said.argmax(axis=1) == 1 - long) > 0.97


# Subset identity


def test_subset_only_says_the_shrunk_mean_of_the_subset_and_the_train_mean_of_a_new_one() -> None:
    train = part([[1, 0], [1, 0], [0, 1], [0, np.nan]], subsets=("x", "x", "y", "y"))
    router = SubsetOnly(shrinkage=2).fit(train)
    said = router.predict(rv.Queries(tuple("pqr"), subsets=("y", "x", "new"))).scores
    np.testing.assert_allclose(said, [[1 / 4, 5 / 9], [3 / 4, 1 / 6], [1 / 2, 1 / 3]])


@pytest.mark.parametrize(("cls", "what"), [(SubsetOnly, "which subset"), (PromptLength, "needs texts")])
def test_a_control_says_what_the_data_lack(cls: type, what: str) -> None:
    with pytest.raises(MissingDataError, match=what):
        cls().fit(part([[1, 0], [0, 1]]))


# Majority


def test_majority_splits_votes_and_counts_no_prompt_on_which_all_score_the_same() -> None:
    # Votes: a and b half each; c; nobody; nobody (one model observed); b.
    train = part([[1, 1, 0], [0, 0, 1], [1, 1, 1], [np.nan, np.nan, 1], [0, 0.7, 0.4]])
    router = Majority().fit(train)
    np.testing.assert_allclose(router.votes_, [0.5 / 3, 1.5 / 3, 1 / 3])
    prediction = router.predict(rv.Queries(("q", "r")))
    assert prediction.probs is not None
    assert prediction.probs.tolist() == [[0, 1, 0], [0, 1, 0]]


def test_majority_without_a_vote_is_the_best_mean() -> None:
    train = part([[0, 0, np.nan], [1, np.nan, 1]])
    prediction = Majority().fit(train).predict(rv.Queries(("q",)))
    assert prediction.probs is not None
    assert prediction.scores.tolist() == [[0, 0, 0]]
    assert prediction.probs.argmax() == 2


# All of them


@pytest.mark.parametrize("router", [PromptLength(bins=0), PromptLength(shrinkage=-1), SubsetOnly(float("nan"))])
def test_a_parameter_that_cannot_be_is_refused(router: rv.Router) -> None:
    train = part([[1, 0], [0, 1]], texts=["a", "b"], subsets=("x", "y"))
    with pytest.raises(ParameterError, match="it must be"):
        router.fit(train)


@pytest.mark.parametrize(
    "router", [ShuffledLabels(rv.KNN(k=1)), RandomEmbeddings(rv.KNN(k=1)), PromptLength(), SubsetOnly(), Majority()]
)
@pytest.mark.parametrize("scores", [[[1.0]], [[0.0, 0.0], [0.0, 0.0]], [[1, 1], [1, 1]], [[np.nan, 1], [np.nan, 0]]])
def test_extreme_scores_are_nothing_special(router: rv.Router, scores: list[list[float]]) -> None:
    n = len(scores)
    embeddings = np.ones((n, 3), dtype=np.float32)
    train = part(scores, embeddings=embeddings, texts=["same"] * n, subsets=("x",) * n)
    prediction = replace(router).fit(train).predict(train.queries)  # type: ignore[type-var]
    prediction.check(n, len(scores[0]))
    assert np.isfinite(prediction.scores).all()


@pytest.mark.parametrize(
    "router",
    ["shuffled_labels:router=kmeans", "random_embeddings:router=kmeans", "prompt_length", "subset_only", "majority"],
)
def test_a_saved_control_says_the_same(router: str, easy: rv.Scenario, tmp_path) -> None:
    fitted = PolicySpec.parse(router).build().fit(easy.train, easy.val)
    save_router(fitted, tmp_path / "saved", model_ids=easy.train.model_ids)
    loaded = load_router(tmp_path / "saved").router
    queries = easy.test.queries
    assert loaded.predict(queries).scores.tobytes() == fitted.predict(queries).scores.tobytes()
