"""What a step of each balancer waits for: how often the CPU stops until a GPU has answered.

On a CUDA GPU the synchronisations of ``backward`` are counted as CUDA reports them. Without one the
step runs on torch's ``meta`` device, whose tensors have no values: a step that reads one fails.
"""

from __future__ import annotations

import warnings

import torch
from step_cost import losses_of, set_up

from mtl_tutorial.balancing import BALANCERS, Making, make_balancer

STEPS = 20


def waits_on_gpu(name: str) -> str:
    tasks, model, batch = set_up(3, "cuda", 0)
    balancer = make_balancer(name, Making(tuple(tasks), 5, torch.Generator("cuda").manual_seed(0)))
    counts = []
    for _ in range(STEPS):
        losses, _features = losses_of(model, tasks, batch)
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("warn")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            balancer.backward(losses, model)
        torch.cuda.set_sync_debug_mode("default")
        counts.append(sum("synchroniz" in str(warning.message) for warning in caught))
    return f"{sum(counts[1:]) / (STEPS - 1):.2f} a step, {counts[0]} in the first"


def waits_on_meta(name: str) -> str:
    tasks, model, batch = set_up(3, "meta", 0)
    balancer = make_balancer(name, Making(tuple(tasks), 5, torch.Generator().manual_seed(0)))
    try:
        for _ in range(STEPS):
            balancer.backward(losses_of(model, tasks, batch)[0], model)
    except (RuntimeError, NotImplementedError, ValueError) as error:
        return f"reads a value: {error}"
    return "reads no value"


def main() -> None:
    """Print a line a balancer."""
    waits = waits_on_gpu if torch.cuda.is_available() else waits_on_meta
    for name in BALANCERS:
        try:
            print(f"{name:24}{waits(name)}")
        except ValueError as error:  # a library that is not here
            print(f"{name:24}{error}")


if __name__ == "__main__":
    main()
