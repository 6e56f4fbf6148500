"""Routers and references as one asks for them."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge

import routereval as rv
from routereval import policies, protocols
from routereval.errors import ParameterError, RouterError, UnknownNameError
from routereval.policies import PolicySpec, defaults_of, describe, is_reference, needs_embeddings, prepared, source_hash

KNN_REST = {"metric": "cosine", "weights": "uniform", "temperature": 0.1, "shrinkage": 0.0, "ties": "protocol"}

THEIRS = '''
from dataclasses import dataclass, field
from typing import Literal


@dataclass
class Theirs:
    """A router with a parameter of every type."""

    whole: int = 1
    share: float = 0.5
    yes: bool = False
    name: str = "a"
    kind: Literal["x", "y"] = "x"
    maybe: int | None = 3
    either: int | Literal["auto"] = "auto"
    sizes: tuple = ()
    anything: object = None
    seed: int = 0
    calls: int = field(default=0, init=False)

    def fit(self, train, val=None):
        return self

    def predict(self, queries): ...


class Plain:
    def __init__(self, width=2, **kwargs):
        self.width = width
        self.more = kwargs
        self.learned_ = 5
        self._own = 6


class Needy:
    def __init__(self, path, size=1): ...
'''


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of somebody else's routers, importable by name."""
    (tmp_path / "their_routers.py").write_text(THEIRS)
    monkeypatch.syspath_prepend(tmp_path)
    import their_routers

    yield their_routers
    del sys.modules["their_routers"]


def built(text: str) -> Any:
    return PolicySpec.parse(text).build()


# Reading


@pytest.mark.parametrize(
    ("text", "name", "params"),
    [
        ("knn", "knn", {}),
        ("knn:", "knn", {}),
        ("knn:k=50,ties=train_mean", "knn", {"k": "50", "ties": "train_mean"}),
        ("knn: k = 50 , ties=first,", "knn", {"k": "50", "ties": "first"}),
        ("pkg.mod:Cls", "pkg.mod:Cls", {}),
        ("pkg.mod:Cls:a=1,b=x:y", "pkg.mod:Cls", {"a": "1", "b": "x:y"}),
        ("pkg.mod:Cls:a=b=c", "pkg.mod:Cls", {"a": "b=c"}),
        ("r_o:p=0.5", "r_o", {"p": "0.5"}),
    ],
)
def test_a_policy_is_a_name_and_parameters(text: str, name: str, params: dict[str, str]) -> None:
    spec = PolicySpec.parse(text)
    assert (spec.name, dict(spec.params)) == (name, params)


@pytest.mark.parametrize(("text", "pair"), [("knn:k", "k"), ("knn:k=5,ties", "ties"), ("r_o:0.5", "0.5")])
def test_a_parameter_without_a_value_says_how_to_write_one(text: str, pair: str) -> None:
    with pytest.raises(ParameterError, match=f"cannot read '{pair}' in '{text}'; write parameters as name:k=v,k=v"):
        PolicySpec.parse(text)


# Building


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("knn:k=50,ties=train_mean", rv.KNN(k=50, ties="train_mean")),
        ("kmeans:clusters=7", rv.KMeans(clusters=7)),
        ("linear:learning_rate=0.5,recipe=minibatch", rv.Linear(learning_rate=0.5, recipe="minibatch")),
        ("linear:learning_rate=None", rv.Linear(learning_rate=None)),
        ("best_single", rv.BestSingle()),
        ("oracle", rv.Oracle()),
        ("r_o:p=0.25", rv.RandomMixture(0.25)),
    ],
)
def test_a_name_of_the_catalogue_is_built_with_values_of_its_types(text: str, policy: Any) -> None:
    found = built(text)
    assert found == policy
    assert type(found) is type(policy)
    # What describes it builds it again.
    name, params = describe(found)
    assert PolicySpec(name, params).build() == policy


def test_values_that_are_no_strings_are_taken_as_they_are() -> None:
    assert PolicySpec("knn", {"k": 9}).build() == rv.KNN(k=9)


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ("whole=-3", "whole", -3),
        ("share=1e-3", "share", 0.001),
        ("share=2", "share", 2.0),
        ("yes=True", "yes", True),
        ("yes=false", "yes", False),
        ("name=5", "name", "5"),
        ("kind=y", "kind", "y"),
        ("maybe=7", "maybe", 7),
        ("maybe=none", "maybe", None),
        ("either=7", "either", 7),
        ("either=auto", "either", "auto"),
        ("sizes=[5]", "sizes", [5]),
        ("anything=2.5", "anything", 2.5),
        ("anything=words", "anything", "words"),
    ],
)
def test_a_string_is_read_as_the_type_of_its_parameter(given: str, name: str, value: Any, theirs: Any) -> None:
    found = built(f"their_routers:Theirs:{given}")
    assert isinstance(found, theirs.Theirs)
    assert getattr(found, name) == value
    assert type(getattr(found, name)) is type(value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("whole=2.5", "whole is '2.5'; expected int"),
        ("share=half", "share is 'half'; expected float"),
        ("yes=1", "yes is '1'; expected true or false"),
        ("kind=z", "kind is 'z'; expected one of x, y"),
        ("maybe=some", "maybe is 'some'; expected int | None"),
    ],
)
def test_a_value_that_a_parameter_cannot_take_says_what_it_takes(given: str, message: str, theirs: Any) -> None:
    with pytest.raises(ParameterError) as caught:
        built(f"their_routers:Theirs:{given}")
    assert str(caught.value) == f"their_routers:Theirs: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "knn:kk=3",
            "knn has no parameter 'kk'; did you mean 'k'? It takes: k, metric, weights, temperature, shrinkage, ties",
        ),
        (
            "kmeans:cluster=3",
            "kmeans has no parameter 'cluster'; did you mean 'clusters'? It takes: clusters, shrinkage, assignment, "
            "temperature, ties",
        ),
        ("knn:colour=3", "knn has no parameter 'colour'; it takes: k, metric, weights, temperature, shrinkage, ties"),
        ("oracle:p=1", "oracle has no parameter 'p'; it takes: none"),
        ("kmeans:seed=3", "kmeans: the seed is set for the whole run; give --seed"),
        ("r_o", "r_o needs p: write r_o:p=..."),
        ("their_routers:Needy:size=2", "their_routers:Needy needs path: write their_routers:Needy:path=..."),
        (
            "sklearn.linear_model:Ridge:alfa=1",
            "sklearn.linear_model:Ridge has no parameter 'alfa'; did you mean 'alpha'? It takes: alpha, fit_intercept, "
            "copy_X, max_iter, tol, solver, positive, random_state",
        ),
    ],
)
@pytest.mark.usefixtures("theirs")
def test_a_parameter_that_is_not_there_or_missing_is_said(text: str, message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        built(text)
    assert str(caught.value) == message


def test_a_class_that_takes_anything_is_given_anything(theirs: Any) -> None:
    found = built("their_routers:Plain:width=4,depth=3")
    assert (found.width, found.more) == (4, {"depth": 3})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("knm", "unknown router 'knm'; did you mean 'knn'?"),
        ("orcale", "unknown router 'orcale'; did you mean 'oracle' or "),
        ("zzz", "unknown router 'zzz'; known: best_single, knn, kmeans, linear, mlp, "),
        (
            "no_such_package.x:Router",
            "cannot import router 'no_such_package.x:Router': ModuleNotFoundError: No",
        ),
        (
            "routereval:Nothing",
            "cannot import router 'routereval:Nothing': AttributeError: module",
        ),
    ],
)
def test_a_name_that_nobody_has_says_what_there_is(text: str, message: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        built(text)
    assert str(caught.value).startswith(message)
    assert "package.module:Class" in str(caught.value)


def test_a_file_in_place_of_a_module_says_what_to_write() -> None:
    for path in ("mine/my_router.py", "mine/my_router"):
        with pytest.raises(UnknownNameError, match=f"'{path}' is a file; .* write --router my_router:Mine"):
            built(f"{path}:Mine")


def test_whatever_a_module_raises_while_it_is_imported_is_said(theirs: Any, tmp_path: Path) -> None:
    (tmp_path / "broken_router.py").write_text("1 / 0\n")
    with pytest.raises(UnknownNameError, match="cannot import router 'broken_router:Mine': ZeroDivisionError"):
        built("broken_router:Mine")


# scikit-learn


def test_an_estimator_by_import_path_is_wrapped_and_described_by_what_differs_from_its_defaults() -> None:
    router = built("sklearn.linear_model:Ridge:alpha=0.5,fit_intercept=False,ties=first")
    assert isinstance(router, rv.SklearnRouter)
    assert isinstance(router.estimator, Ridge)
    assert (router.estimator.alpha, router.estimator.fit_intercept, router.ties) == (0.5, False, "first")
    expected = {"alpha": 0.5, "fit_intercept": False, "ties": "first"}
    assert describe(router) == ("sklearn.linear_model:Ridge", expected)
    assert describe(built("sklearn.linear_model:Ridge")) == ("sklearn.linear_model:Ridge", {})
    with pytest.raises(ParameterError, match="ties is 'frist'; expected one of protocol, first, train_mean"):
        built("sklearn.linear_model:Ridge:ties=frist")


# Describing


def test_a_router_is_described_by_its_name_and_every_parameter_but_the_seed(theirs: Any) -> None:
    assert describe(rv.KNN(k=3)) == ("knn", {"k": 3} | KNN_REST)
    rest = {"shrinkage": 0.0, "assignment": "hard", "temperature": 0.1, "ties": "protocol"}
    assert describe(rv.KMeans(clusters=2, seed=9)) == ("kmeans", {"clusters": 2} | rest)
    assert describe(rv.RandomMixture(0.5)) == ("r_o", {"p": 0.5})
    assert describe(rv.Random()) == ("random", {})
    name, params = describe(theirs.Theirs(sizes=(3, 4)))
    assert name == "their_routers:Theirs"
    assert not {"seed", "calls"} & set(params)
    assert params["sizes"] == "(3, 4)"  # what JSON cannot hold is its repr
    assert PolicySpec(name, params).build().sizes == (3, 4)


def test_what_a_router_learned_is_no_part_of_its_description(theirs: Any) -> None:
    assert describe(theirs.Plain(width=3)) == ("their_routers:Plain", {"width": 3, "more": "{}"})
    scenario = rv.load_scenario("demo_math/all_strong/3")
    assert describe(rv.KNN(k=3).fit(scenario.train)) == describe(rv.KNN(k=3))


def test_the_file_a_router_is_written_in_is_hashed_where_it_is_not_ours(theirs: Any) -> None:
    expected = hashlib.sha256(THEIRS.encode()).hexdigest()
    assert source_hash(theirs.Theirs()) == expected
    assert source_hash(theirs.Plain()) == expected
    assert source_hash(rv.KNN()) == ""
    assert source_hash(rv.Oracle()) == ""
    ridge = source_hash(built("sklearn.linear_model:Ridge"))
    assert ridge == source_hash(rv.SklearnRouter(Ridge(alpha=2)))
    assert ridge not in ("", expected)
    nowhere: dict[str, Any] = {"__name__": "nowhere"}
    exec("class Nowhere: ...", nowhere)
    assert source_hash(nowhere["Nowhere"]()) == ""


def test_a_file_that_a_parameter_names_is_part_of_what_a_router_is(tmp_path: Path) -> None:
    file = tmp_path / "models.json"
    asked = PolicySpec.parse(f"graph:descriptions={file}").build()
    assert (
        source_hash(PolicySpec.parse("graph").build()) == source_hash(asked) == ""
    )  # the fit says that it is not there
    file.write_text('{"a": "good at sums"}')
    first = source_hash(asked)
    file.write_text('{"a": "good at rhymes"}')
    assert len({"", first, source_hash(asked)}) == 3


def test_only_a_reference_reads_the_answers() -> None:
    assert all(is_reference(policy) for policy in (rv.Oracle(), rv.Random(), rv.RandomMixture(1), built("r_o:p=0")))
    assert not any(is_reference(built(name)) for name in policies.routers())

    class Both(rv.KNN):
        def expected(self, scores: Any) -> Any: ...

    assert not is_reference(Both())  # what can be fitted is a router
    assert not is_reference(object())


def test_a_router_needs_embeddings_unless_it_says_that_it_does_not() -> None:
    class Blind(rv.KNN):
        needs_embeddings = False

    assert needs_embeddings(rv.KNN())
    assert needs_embeddings(built("sklearn.linear_model:Ridge"))
    assert not needs_embeddings(Blind())
    assert not needs_embeddings(rv.BestSingle())
    assert not needs_embeddings(rv.Oracle())


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("knn", {"k": 5} | KNN_REST),
        (
            "kmeans",
            {"clusters": 3, "shrinkage": 0.0, "assignment": "hard", "temperature": 0.1, "ties": "protocol"},
        ),
        ("oracle", {}),
        ("r_o", {}),
        ("somebody.elses:Router", {}),
    ],
)
def test_the_defaults_of_a_name_are_without_the_seed_and_what_must_be_given(name: str, params: dict[str, Any]) -> None:
    assert defaults_of(name) == params


def test_what_is_evaluated_by_default_can_be_built() -> None:
    assert {PolicySpec.parse(text).name for text in policies.EVERYTHING} >= set(policies.REFERENCES)
    for text in policies.EVERYTHING:
        built(text)


# Preparing a run


def test_a_run_gets_a_copy_with_its_seed_and_the_protocols_ties() -> None:
    router = rv.KMeans(clusters=2, seed=7)
    fresh = prepared(router, protocols.STRICT, 3)
    assert (fresh.clusters, fresh.seed, fresh.ties) == (2, 3, "train_mean")
    assert prepared(router, protocols.PAPER, None) == rv.KMeans(clusters=2, seed=7, ties="first")
    assert prepared(rv.KMeans(ties="first"), protocols.STRICT, 0).ties == "first"
    assert router == rv.KMeans(clusters=2, seed=7)


def test_a_run_begins_with_nothing_learned() -> None:
    fitted = rv.KNN(k=3).fit(rv.load_scenario("demo_math/all_strong/3").train)
    assert not hasattr(prepared(fitted, protocols.PAPER, None), "means_")
    assert hasattr(fitted, "means_")


def test_a_router_that_is_no_dataclass_is_copied_too() -> None:
    class Plain:
        def __init__(self) -> None:
            self.seed, self.ties, self.seen = 0, "protocol", [1]

        def fit(self, train: Any, val: Any = None) -> Any: ...

        def predict(self, queries: Any) -> Any: ...

    router = Plain()
    fresh = prepared(router, protocols.PAPER, 4)
    fresh.seen.append(2)
    assert (fresh.seed, fresh.ties) == (4, "first")
    assert (router.seed, router.ties, router.seen) == (0, "protocol", [1])


def test_what_has_no_fit_or_predict_is_no_router() -> None:
    class Half:
        def fit(self, train: Any, val: Any = None) -> Any: ...

    with pytest.raises(RouterError, match=r"Half has no method predict\(\); a router has fit and predict"):
        prepared(Half(), protocols.STRICT, None)


def test_ties_that_nobody_knows_are_refused() -> None:
    with pytest.raises(ParameterError, match="ties is 'last'; expected 'protocol', 'first' or 'train_mean'"):
        prepared(rv.KNN(ties="last"), protocols.STRICT, None)


def test_commas_within_brackets_belong_to_a_value_and_nothing_is_given_twice() -> None:
    spec = PolicySpec.parse("sklearn.neural_network:MLPRegressor:hidden_layer_sizes=(64,64),alpha=0.1")
    assert spec.params == {"hidden_layer_sizes": "(64,64)", "alpha": "0.1"}
    assert spec.build().estimator.hidden_layer_sizes == (64, 64)
    with pytest.raises(ParameterError, match="k is given twice in 'knn:k=1,k=2'"):
        PolicySpec.parse("knn:k=1,k=2")


def test_numpy_scalars_are_the_numbers_they_stand_for() -> None:
    assert describe(rv.KNN(k=np.int64(5))) == describe(rv.KNN(k=5))


def test_a_group_stands_for_its_members_each_once() -> None:
    everything = policies.expanded(["all"])
    assert policies.expanded(["knn", "published", "mypkg:Mine"]) == [
        *("knn", "best_single", "kmeans", "linear", "mlp"),
        "mypkg:Mine",
    ]
    assert {"oracle", "ridge", "auto", "majority"} <= set(everything)
    assert len(set(everything)) == len(everything)
    # Nothing that needs an extra, and every other router of ours.
    ours = set(everything) - set(policies.GROUPS["references"])
    assert {n for n in policies.routers() if ".neural." not in policies.routers().path(n)} >= ours
    assert "mlc" not in everything


def test_no_group_has_a_routers_name() -> None:
    assert not set(policies.GROUPS) & {*policies.routers(), *policies.REFERENCES}


def test_a_router_that_no_file_holds_is_another_one_when_its_code_is() -> None:
    def made(rule: str) -> object:
        space: dict[str, object] = {"__name__": "__main__"}
        code = f"class R:\n    def fit(self, train):\n        return self\n    def predict(self, q):\n        {rule}"
        exec(compile(code, "<cell 3>", "exec"), space)
        return space["R"]()

    one, again, other = (source_hash(made(rule)) for rule in ("return q", "return q", "return q + 1"))
    assert one == again != other
    assert len(one) == 64
