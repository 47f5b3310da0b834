"""What the README shows runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss


class Plain(nn.Module):
    """A network that knows nothing of this package."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8))
        self.depth, self.kind = nn.Linear(8, 1), nn.Linear(8, 3)

    def forward(self, inputs):
        features = self.trunk(inputs)
        return {"depth": self.depth(features)[:, 0], "kind": self.kind(features)}


def test_the_readmes_loop_trains_a_plain_network(root: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text("utf-8"), re.S)
    torch.manual_seed(0)
    inputs = torch.randn(64, 4)
    batch = inputs, inputs.sum(1), inputs[:, :3].argmax(1)
    model = Plain()
    names = {
        "loader": [batch] * 60,
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=0.01),
        "cross_entropy": cross_entropy,
        "mse_loss": mse_loss,
    }

    def losses():
        outputs = model(inputs)
        return mse_loss(outputs["depth"], batch[1]), cross_entropy(outputs["kind"], batch[2])

    before = losses()
    exec(code, names)
    assert all(now < 0.6 * then for now, then in zip(losses(), before, strict=True))
    assert names["weights"].keys() == {"depth", "kind"}
