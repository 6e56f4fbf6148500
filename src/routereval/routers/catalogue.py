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
    "gmm": "routereval.routers.gmm:GMM",
    "avengers": "routereval.routers.avengers:Avengers",
    "uniroute": "routereval.routers.uniroute:UniRoute",
    "uniroute_learned": "routereval.routers.uniroute:LearnedUniRoute",
    "stack": "routereval.routers.stack:Stack",
    "auto": "routereval.routers.auto:AutoRouter",
    "shuffled_labels": "routereval.routers.controls:ShuffledLabels",
    "random_embeddings": "routereval.routers.controls:RandomEmbeddings",
    "prompt_length": "routereval.routers.controls:PromptLength",
    "subset_only": "routereval.routers.controls:SubsetOnly",
    "majority": "routereval.routers.controls:Majority",
}


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
