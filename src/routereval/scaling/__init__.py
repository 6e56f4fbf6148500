"""Model-level scaling up: how a policy's score grows with the number of candidates, over random pools."""

from routereval.scaling.drawing import Cost, cost, scale
from routereval.scaling.plan import ScalingPlan

__all__ = ["Cost", "ScalingPlan", "cost", "scale"]
