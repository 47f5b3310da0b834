"""Trains the small mixtures of the gate viewer, and writes them into the page's file.

python benchmarks/gate_viewer.py
"""

from __future__ import annotations

import copy

import torch
from torch.func import functional_call, stack_module_state, vmap

from mtl_tutorial.architectures import Experts
from mtl_tutorial.data.related_pair import NOISE, PAIR, taught, teachers_at
from mtl_tutorial.experiments import seeded
from mtl_tutorial.experiments.experts import Layer
from mtl_tutorial.widgets.gate_viewer import CORRELATIONS, GATES, TRAINED, packed, written

COUNT, WIDTH, SEEDS, STEPS = 4, 8, 8, 6000


def trained(gate: str) -> list[tuple[float, Experts]]:
    """For each correlation the error and the network of the seed with the smallest one."""
    rows = [(p, seed) for p in CORRELATIONS for seed in range(SEEDS)]
    models = []
    for _, seed in rows:
        with seeded(seed):
            experts = [Layer(2, WIDTH) for _ in range(COUNT)]
            models.append(Experts(experts, PAIR, 2, gate=GATES[gate]))
    parameters, _ = stack_module_state(models)
    model = copy.deepcopy(models[0]).to("meta")
    w = torch.stack([teachers_at(p, torch.eye(2)) for p, _ in rows])

    def error(theta, x, y):
        outputs = functional_call(model, theta, (x,))
        return (torch.cat([*outputs.values()], 1) - y).square().mean()

    adam = torch.optim.Adam(parameters.values(), lr=0.01, fused=True)
    fall = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.02, STEPS)
    generator = torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        x = torch.randn(256, 2, generator=generator).expand(len(rows), -1, -1)
        y = taught(x, w) + NOISE * torch.randn(256, 2, generator=generator)
        adam.zero_grad()
        vmap(error)(parameters, x, y).sum().backward()
        adam.step()
        fall.step()
    x = torch.randn(4000, 2, generator=generator).expand(len(rows), -1, -1)
    with torch.no_grad():
        errors = vmap(error)(parameters, x, taught(x, w)).view(len(CORRELATIONS), SEEDS)
    found = []
    for place, seed in enumerate(errors.argmin(1).tolist()):
        best = place * SEEDS + seed
        state = {name: value[best].detach() for name, value in parameters.items()}
        models[best].load_state_dict(state)
        found.append((errors[place, seed].item(), models[best]))
    return found


def main() -> None:
    torch.set_num_threads(1)
    networks = {}
    for gate in GATES:
        found = trained(gate)
        print(gate, [round(error, 2) for error, _ in found], flush=True)
        networks[gate] = [packed(model) for _, model in found]
    text = written(networks)
    TRAINED.write_text(text, encoding="utf-8")
    print(f"{TRAINED.name}: {len(text) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
