"""Ways to turn several losses into one update."""

from mtl_tutorial.balancing.base import Balancer, task_gradients
from mtl_tutorial.balancing.fixed import FixedWeights

__all__ = ["Balancer", "FixedWeights", "task_gradients"]
