"""Ways to turn several losses into one update."""

from mtl_tutorial.balancing.base import Balancer, NonFiniteError, check_finite
from mtl_tutorial.balancing.dwa import DynamicWeightAverage, dwa_weights
from mtl_tutorial.balancing.fixed import FixedWeights
from mtl_tutorial.balancing.gradient_norm_weights import GradientNormWeights
from mtl_tutorial.balancing.gradnorm import GradNorm, GradNormStep, gradnorm_step, training_rates
from mtl_tutorial.balancing.gramian import GramianBalancer, gramian
from mtl_tutorial.balancing.graph import shared_parameters, task_gradients
from mtl_tutorial.balancing.mgda import MGDA, mgda
from mtl_tutorial.balancing.pcgrad import PCGrad, pcgrad
from mtl_tutorial.balancing.registry import BALANCERS, Making, make_balancer
from mtl_tutorial.balancing.torchjd import FromTorchJD
from mtl_tutorial.balancing.uncertainty import UncertaintyWeights

__all__ = [
    "BALANCERS",
    "MGDA",
    "Balancer",
    "DynamicWeightAverage",
    "FixedWeights",
    "FromTorchJD",
    "GradNorm",
    "GradNormStep",
    "GradientNormWeights",
    "GramianBalancer",
    "Making",
    "NonFiniteError",
    "PCGrad",
    "UncertaintyWeights",
    "check_finite",
    "dwa_weights",
    "gradnorm_step",
    "gramian",
    "make_balancer",
    "mgda",
    "pcgrad",
    "shared_parameters",
    "task_gradients",
    "training_rates",
]
