"""RouterEval: the benchmark of LLM routers. Which model should answer this prompt?

>>> import routereval as rv
>>> scenario = rv.load_scenario("demo_math/all_strong/5")
>>> result = rv.evaluate(rv.KNN(k=5), scenario)
>>> print(result)  # doctest: +ELLIPSIS
knn...
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from routereval.api import load_benchmark, load_scenario, load_table, run
    from routereval.data.benchmark import BenchmarkData
    from routereval.data.prediction import Prediction
    from routereval.data.queries import Queries
    from routereval.data.scenario import CandidatePool, Partition, Scenario
    from routereval.data.scores import ScoreMatrix
    from routereval.data.split import Split
    from routereval.errors import RouterEvalError
    from routereval.evaluation import evaluate
    from routereval.metrics import METRICS
    from routereval.references import BestSingleHindsight, Oracle, Random, RandomMixture
    from routereval.report.comparison import compare
    from routereval.report.tabling import tables
    from routereval.results import ResultStore, RunResult, RunSpec
    from routereval.routers.auto import AutoRouter
    from routereval.routers.avengers import Avengers
    from routereval.routers.best_single import BestSingle
    from routereval.routers.boosting import Boosting
    from routereval.routers.bradley_terry import BradleyTerry
    from routereval.routers.contract import ColumnwiseRouter, Router
    from routereval.routers.controls import Majority, PromptLength, RandomEmbeddings, ShuffledLabels, SubsetOnly
    from routereval.routers.eagle import Eagle
    from routereval.routers.elo import Elo
    from routereval.routers.forest import Forest
    from routereval.routers.gmm import GMM
    from routereval.routers.kmeans import KMeans
    from routereval.routers.knn import KNN
    from routereval.routers.linear import Linear
    from routereval.routers.logistic import Logistic
    from routereval.routers.mf import MatrixFactorisation
    from routereval.routers.mirt import MIRT
    from routereval.routers.mlp import MLP
    from routereval.routers.neural.attention import Attention
    from routereval.routers.neural.graph import Graph
    from routereval.routers.neural.mlc import MLC
    from routereval.routers.neural.probe import Probe
    from routereval.routers.neural.routellm_mf import RouteLLM
    from routereval.routers.neural.routerdc import RouterDC
    from routereval.routers.ranking import Ranking
    from routereval.routers.ridge import Ridge
    from routereval.routers.rorf import RoRF
    from routereval.routers.satzilla import SATzilla
    from routereval.routers.saving import load_router, save_router
    from routereval.routers.similarity_bt import SimilarityBT
    from routereval.routers.sklearn import SklearnRouter
    from routereval.routers.stack import Stack
    from routereval.routers.svm import SVM
    from routereval.routers.uniroute import LearnedUniRoute, UniRoute
    from routereval.routing import fit_router, join_model, route
    from routereval.sources.synthetic import Synthetic, SyntheticSpec
    from routereval.tuning import tune

__version__ = "0.1.0"

_HOMES = {
    "api": ("load_benchmark", "load_scenario", "load_table", "run"),
    "data.benchmark": ("BenchmarkData",),
    "data.prediction": ("Prediction",),
    "data.queries": ("Queries",),
    "data.scenario": ("CandidatePool", "Partition", "Scenario"),
    "data.scores": ("ScoreMatrix",),
    "data.split": ("Split",),
    "errors": ("RouterEvalError",),
    "evaluation": ("evaluate",),
    "metrics": ("METRICS",),
    "references": ("BestSingleHindsight", "Oracle", "Random", "RandomMixture"),
    "report.comparison": ("compare",),
    "report.tabling": ("tables",),
    "results": ("ResultStore", "RunResult", "RunSpec"),
    "routers.auto": ("AutoRouter",),
    "routers.avengers": ("Avengers",),
    "routers.best_single": ("BestSingle",),
    "routers.boosting": ("Boosting",),
    "routers.bradley_terry": ("BradleyTerry",),
    "routers.contract": ("ColumnwiseRouter", "Router"),
    "routers.controls": ("Majority", "PromptLength", "RandomEmbeddings", "ShuffledLabels", "SubsetOnly"),
    "routers.eagle": ("Eagle",),
    "routers.elo": ("Elo",),
    "routers.forest": ("Forest",),
    "routers.gmm": ("GMM",),
    "routers.kmeans": ("KMeans",),
    "routers.knn": ("KNN",),
    "routers.linear": ("Linear",),
    "routers.logistic": ("Logistic",),
    "routers.mf": ("MatrixFactorisation",),
    "routers.mirt": ("MIRT",),
    "routers.mlp": ("MLP",),
    "routers.neural.graph": ("Graph",),
    "routers.neural.attention": ("Attention",),
    "routers.neural.mlc": ("MLC",),
    "routers.neural.probe": ("Probe",),
    "routers.neural.routellm_mf": ("RouteLLM",),
    "routers.neural.routerdc": ("RouterDC",),
    "routers.ranking": ("Ranking",),
    "routers.rorf": ("RoRF",),
    "routers.satzilla": ("SATzilla",),
    "routers.saving": ("load_router", "save_router"),
    "routers.ridge": ("Ridge",),
    "routers.similarity_bt": ("SimilarityBT",),
    "routers.sklearn": ("SklearnRouter",),
    "routers.svm": ("SVM",),
    "routers.stack": ("Stack",),
    "routing": ("fit_router", "join_model", "route"),
    "routers.uniroute": ("LearnedUniRoute", "UniRoute"),
    "sources.synthetic": ("Synthetic", "SyntheticSpec"),
    "tuning": ("tune",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "__version__",
    *_HOME_OF,
]


def __getattr__(name: str) -> Any:
    # Imported on first use: `import routereval` itself loads nothing heavy.
    if name not in _HOME_OF:
        raise AttributeError(f"module 'routereval' has no attribute {name!r}")
    return getattr(import_module(f"routereval.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
