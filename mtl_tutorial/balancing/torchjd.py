"""Every aggregator and scalarizer of TorchJD as a balancer."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from mtl_tutorial.balancing.base import (
    Balancer,
    NonFiniteError,
    backward_weighted_sum,
    check_finite,
    stacked,
)
from mtl_tutorial.balancing.gramian import full_precision, gramian, range_factor
from mtl_tutorial.balancing.graph import (
    Scale,
    TaskGradients,
    check_losses,
    is_scaled,
    split_gradients,
)
from mtl_tutorial.balancing.host import on_host
from mtl_tutorial.balancing.replicas import mean_over_replicas, same_on_replicas

PLAIN = (bool, int, float, str, type(None), torch.dtype, torch.device)  # kept as they are


class FromTorchJD(Balancer):
    """Balance with a method of TorchJD: an aggregator of gradients, or a scalarizer of losses.

    An aggregator A: θ gets A(J), with J the Jacobian of the shared parameters, ``(T, P)``; φ_i gets
    ∇_φi L_i. Where the largest entry of J is below 1e-12 or above 1e12, J is divided by a power of
    two for A, and the result multiplied by it. Methods with a ``norm_eps``, such as UPGrad and
    CAGrad, see the Gramian at a trace near 1: below 1e-4 they would take it for 0.

    A scalarizer S: all parameters get ∇ S(L_1, …, L_T). What a scalarizer learns by that gradient,
    as IMTL-L and UW do, takes a step of Adam after it. FAMO learns from the losses after the step,
    by `after_step`.

    Those that know tasks by their place, as what remembers them or was given a number for each
    does, need all of them in every step, in one order.

    Args:
        method: such as ``torchjd.aggregation.UPGrad()`` or ``torchjd.scalarization.FAMO(2)``.
        learning_rate: of what a scalarizer learns, > 0.

    Raises:
        ValueError: where it is no aggregator or scalarizer of TorchJD, or the rate is out of range.

    Source: Quinton & Rey 2024 (arXiv 2406.16232); each method names its own.
    """

    def __init__(self, method: nn.Module, learning_rate: float = 0.025) -> None:
        from torchjd.aggregation import (  # slow to import
            Aggregator,
            GramianWeightedAggregator,
            WeightedAggregator,
        )
        from torchjd.scalarization import Scalarizer

        if not isinstance(method, Aggregator | Scalarizer):
            is_class = isinstance(method, type) and issubclass(method, Aggregator | Scalarizer)
            hint = "; add brackets to make one" if is_class else ""
            raise ValueError(
                f"method must be an aggregator or a scalarizer of TorchJD, such as "
                f"torchjd.aggregation.UPGrad() or torchjd.scalarization.GeometricMean(), got "
                f"{method!r}{hint}"
            )
        if not 0 < learning_rate < float("inf"):
            raise ValueError(f"learning_rate must be finite and > 0, got {learning_rate}")
        self.method = method
        self._by_gramian = isinstance(method, GramianWeightedAggregator)
        self.replayable = isinstance(method, WeightedAggregator)  # it works between two graphs
        self._names: list[str] = []  # of the tasks, where they are known by their place
        self._by_place = _knows_places(method)
        self._average: Callable[[Tensor], Tensor] | None = None  # of losses that FAMO waits for
        learned = list(method.parameters())
        self._optimizer = torch.optim.Adam(learned, lr=learning_rate) if learned else None

    def backward(
        self, losses: Mapping[str, Tensor], model: nn.Module, *, scale: Scale = None
    ) -> dict[str, Tensor]:
        """Fill ``.grad``, and give the weights.

        With an aggregator they are the w_i of Σ_i w_i g_i, or of the sum that comes nearest to θ's
        gradient where the method makes no such sum. With a scalarizer they are ∂S/∂L_i.

        Raises:
            ValueError: as `split_gradients`; where a method that knows tasks by their place
                gets others than before; where FAMO was not told the losses after its last step; and
                for a gradient that is NaN or infinite, on a CPU and without a ``scale``.
        """
        from torchjd.aggregation import Aggregator

        check_losses(losses)
        if isinstance(self.method, Aggregator):
            if len(losses) > 1:
                self._check_places(losses)
            return self._aggregate(losses, model, scale)
        self._check_places(losses)
        return self._scalarize(losses, model, scale)

    def _check_places(self, losses: Mapping[str, Tensor]) -> None:
        if not self._by_place:
            return
        self._names = self._names or list(losses)
        if list(losses) != self._names:
            raise ValueError(
                f"{self.method} knows tasks by their place and began with {self._names}, but "
                f"now there are losses for {list(losses)}; give every batch a label of each task, "
                f"or use a method that takes those that are there"
            )

    def _aggregate(
        self, losses: Mapping[str, Tensor], model: nn.Module, scale: Scale
    ) -> dict[str, Tensor]:
        gradients = split_gradients(losses, model, scale)
        jacobian = gradients.jacobian
        if len(losses) == 1:
            gradients.fill(jacobian[0])
            return dict.fromkeys(losses, jacobian.new_ones(()))
        with full_precision(jacobian):
            self._move(torch.device("cpu") if self._by_gramian else jacobian.device)
            squares = gramian(jacobian)
            if not is_scaled(scale):
                check_finite(squares.diagonal(), losses, "shared gradient")
            if not is_scaled(scale) or squares.isfinite().all():
                weights, direction = self._combine(gradients, squares)
            else:  # for the scaler to skip; the method shall not remember it
                weights, direction = squares.diagonal() * torch.nan, jacobian.sum(0) * torch.nan
            if not is_scaled(scale):
                check_finite(weights, losses, f"weight by {self.method}")
            weights = same_on_replicas(weights, model)
            gradients.fill(same_on_replicas(direction, model))
        return dict(zip(losses, weights.unbind(), strict=True))

    def _combine(self, gradients: TaskGradients, squares: Tensor) -> tuple[Tensor, Tensor]:
        """Give the weights, and θ's gradient."""
        from torchjd.aggregation import WeightedAggregator

        jacobian = gradients.jacobian
        factor = range_factor(jacobian)
        try:
            if self._by_gramian:
                weigh = functools.partial(self._weigh, names=gradients.names)
                weights = on_host(weigh, self._sized(squares), squares.diagonal())
            elif isinstance(self.method, WeightedAggregator):
                weights = on_host(self.method.weighting, jacobian * factor, squares.diagonal())
            else:
                direction = self.method(jacobian * factor)
                along = jacobian * factor @ direction
                return torch.linalg.pinv(squares, hermitian=True) @ along, direction / factor
        except NonFiniteError:
            raise
        except (ValueError, RuntimeError) as error:  # from a solver that can't go on
            raise ValueError(
                f"{self.method} gave no direction: {str(error).rstrip('.')}; lower the learning "
                f"rate, or use another method"
            ) from error
        return weights, weights @ jacobian

    def _weigh(self, squares: Tensor, names: list[str]) -> Tensor:
        """Weights from the Gramian, on the CPU: most methods have their solver there."""
        squares = squares.cpu()
        check_finite(squares.diagonal(), names, "shared gradient")
        return cast("Any", self.method).gramian_weighting(squares)

    def _sized(self, squares: Tensor) -> Tensor:
        """K, for methods that divide K by its trace and take it for 0 below a trace of 1e-4.

        For them it is multiplied by the power of two that brings the trace near 1.
        """
        parts = [p for m in self.method.modules() for p in (m, getattr(m, "projector", None))]
        if not any(hasattr(part, "norm_eps") for part in parts):
            return squares
        trace = squares.trace()
        return squares * torch.where(trace > 0, torch.exp2(-trace.log2().floor()), 1.0)

    def _scalarize(
        self, losses: Mapping[str, Tensor], model: nn.Module, scale: Scale
    ) -> dict[str, Tensor]:
        if self._average is not None:
            raise ValueError(
                f"{self.method} learns from the losses after a step; call "
                f"balancer.after_step(lambda: losses_of_the_same_batch) after optimizer.step(), as "
                f"mtl_tutorial.training.fit does"
            )
        values = mean_over_replicas(stacked(losses), model).requires_grad_()
        if not is_scaled(scale):
            check_finite(values.detach(), losses, "loss")
        elif not values.isfinite().all():  # for the scaler to skip; nothing shall be learned of it
            return backward_weighted_sum(
                losses, dict(zip(losses, values.detach() * torch.nan, strict=True)), model, scale
            )
        self._move(values.device)
        self.method.zero_grad()
        with full_precision(values):
            self.method(values).backward()
        weights = same_on_replicas(cast("Tensor", values.grad), model)
        if not is_scaled(scale):
            check_finite(weights, losses, f"weight by {self.method}")
        used = dict(zip(losses, weights.unbind(), strict=True))
        backward_weighted_sum(losses, used, model, scale)
        if self._optimizer is not None:
            self._optimizer.step()
        if hasattr(self.method, "update"):
            self._average = functools.partial(mean_over_replicas, model=model)
        return used

    def _move(self, device: torch.device) -> None:
        """Bring the method and its optimizers to a device, after a state was loaded elsewhere."""
        self.method.to(device)
        inner = [v for _, _, v in _attributes(self.method) if isinstance(v, torch.optim.Optimizer)]
        for optimizer in filter(None, [self._optimizer, *inner]):
            here = [p.device for group in optimizer.param_groups for p in group["params"]]
            rows = [v for row in optimizer.state.values() for v in row.values() if v.ndim]
            if any(row.device not in here for row in rows):
                optimizer.load_state_dict(optimizer.state_dict())  # brings it to its parameters

    def after_step(self, losses: Any) -> None:
        """Let FAMO learn from the losses of the same batch after the step; others need nothing.

        Args:
            losses: a function without arguments that gives them, by task name.
        """
        if self._average is not None:
            with torch.no_grad():
                cast("Any", self.method).update(self._average(stacked(losses())))
            self._average = None

    def state_dict(self) -> dict[str, Any]:
        """All that the method remembers, wherever it keeps it; to be saved."""
        return {
            **super().state_dict(),
            "method": {path: _saved(value) for path, _, value in _attributes(self.method)},
            "names": list(self._names),
            "optimizer": None if self._optimizer is None else _saved(self._optimizer),
        }

    @property
    def method_name(self) -> str:
        """Whose state it is that `state_dict` gives."""
        return f"{type(self).__name__}({type(self.method).__name__})"

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the state that `state_dict` gave.

        Raises:
            ValueError: where it is the state of another method.
        """
        super().load_state_dict(state)
        places = {
            path: (module, path.rpartition(".")[2]) for path, module, _ in _attributes(self.method)
        }
        if unknown := state["method"].keys() - places.keys():
            raise ValueError(
                f"the state is of another method than {self.method}: it holds {min(unknown)!r}"
            )
        for path, value in state["method"].items():
            _restore(*places[path], value)
        self._names = list(state["names"])
        if self._optimizer is not None:
            self._optimizer.load_state_dict(copy.deepcopy(state["optimizer"]["optimizer"]))


def _knows_places(method: nn.Module) -> bool:
    """Whether it remembers tasks, or holds a number for each."""
    stateful = any(hasattr(module, "reset") for module in method.modules())
    return stateful or any(isinstance(v, Tensor) and v.ndim for _, _, v in _attributes(method))


def _attributes(method: nn.Module) -> Iterator[tuple[str, nn.Module, Any]]:
    """Every tensor, array, number and optimizer of a method: its path, its module, its value."""
    ours = vars(nn.Module()).keys()
    for place, module in method.named_modules():
        own = {name: value for name, value in vars(module).items() if name not in ours}
        for name, value in {**own, **module._buffers, **module._parameters}.items():
            if isinstance(value, (*PLAIN, Tensor, np.ndarray, tuple, list, torch.optim.Optimizer)):
                yield f"{place}.{name}", module, value


def _saved(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, np.ndarray):
        return {"array": torch.from_numpy(value.copy())}
    if isinstance(value, torch.optim.Optimizer):
        return {"optimizer": copy.deepcopy(value.state_dict())}
    return type(value)(map(_saved, value)) if isinstance(value, tuple | list) else value


def _restore(module: nn.Module, name: str, value: Any) -> None:
    if isinstance(value, dict) and "array" in value:
        value = value["array"].numpy().copy()
    elif isinstance(value, dict) and "optimizer" in value:
        optimizer = torch.optim.Adam(module.parameters(recurse=False))
        optimizer.load_state_dict(copy.deepcopy(value["optimizer"]))
        value = optimizer
    elif isinstance(value, Tensor):
        value = value.clone()
    if (parameter := module._parameters.get(name)) is not None:
        with torch.no_grad():
            parameter.copy_(value)
    else:
        setattr(module, name, value)
    if name == "step" and value and hasattr(module, "_init_optim_problem"):
        cast(
            "Any", module
        )._init_optim_problem()  # Nash-MTL makes its problem in its first step only
