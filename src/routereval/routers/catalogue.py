"""Every router by name: ours, then those of installed packages."""

from __future__ import annotations

import logging
from functools import cache
from importlib import metadata

from routereval.catalogue import Catalogue

ENTRY_POINTS = "routereval.routers"

OURS = {
    "best_single": "routereval.routers.best_single:BestSingle",
    "knn": "routereval.routers.knn:KNN",
    "kmeans": "routereval.routers.kmeans:KMeans",
    "linear": "routereval.routers.linear:Linear",
    "mlp": "routereval.routers.mlp:MLP",
    "ridge": "routereval.routers.ridge:Ridge",
    "logistic": "routereval.routers.logistic:Logistic",
    "svm": "routereval.routers.svm:SVM",
    "gmm": "routereval.routers.gmm:GMM",
    "avengers": "routereval.routers.avengers:Avengers",
    "uniroute": "routereval.routers.uniroute:UniRoute",
    "uniroute_learned": "routereval.routers.uniroute:LearnedUniRoute",
    "mf": "routereval.routers.mf:MatrixFactorisation",
    "mirt": "routereval.routers.mirt:MIRT",
    "ranking": "routereval.routers.ranking:Ranking",
    "boosting": "routereval.routers.boosting:Boosting",
    "forest": "routereval.routers.forest:Forest",
    "rorf": "routereval.routers.rorf:RoRF",
    "satzilla": "routereval.routers.satzilla:SATzilla",
    "bradley_terry": "routereval.routers.bradley_terry:BradleyTerry",
    "similarity_bt": "routereval.routers.similarity_bt:SimilarityBT",
    "elo": "routereval.routers.elo:Elo",
    "eagle": "routereval.routers.eagle:Eagle",
    "mlc": "routereval.routers.neural.mlc:MLC",
    "probe": "routereval.routers.neural.probe:Probe",
    "routellm_mf": "routereval.routers.neural.routellm_mf:RouteLLM",
    "attention": "routereval.routers.neural.attention:Attention",
    "routerdc": "routereval.routers.neural.routerdc:RouterDC",
    "graph": "routereval.routers.neural.graph:Graph",
    "stack": "routereval.routers.stack:Stack",
    "auto": "routereval.routers.auto:AutoRouter",
    "shuffled_labels": "routereval.routers.controls:ShuffledLabels",
    "random_embeddings": "routereval.routers.controls:RandomEmbeddings",
    "prompt_length": "routereval.routers.controls:PromptLength",
    "subset_only": "routereval.routers.controls:SubsetOnly",
    "majority": "routereval.routers.controls:Majority",
}

CONTROLS = ("shuffled_labels", "random_embeddings", "prompt_length", "subset_only", "majority")
"""Routers that no router should be worse than: what is left when one thing that a router knows is taken away."""

PUBLISHED = ("best_single", "knn", "kmeans", "linear", "mlp")
"""The baselines of Huang et al. 2025 that need no PyTorch."""


def core() -> tuple[str, ...]:
    """Our routers that need no extra, controls left out."""
    return tuple(name for name, path in OURS.items() if name not in CONTROLS and ".neural." not in path)


@cache
def routers() -> Catalogue:
    """Every router by name: ours, then those of installed packages (entry points ``routereval.routers``)."""
    catalogue = Catalogue("router", OURS)
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        path = f"{entry.module}:{entry.attr}"
        try:
            catalogue.add(entry.name, path)
        except ValueError as error:
            # Somebody else's package must not take the whole command down; its router still has its import path.
            logging.getLogger(__name__).warning("%s; until then it is --router %s", error, path)
    return catalogue
