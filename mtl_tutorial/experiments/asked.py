"""One network that is asked in words: how it is trained, and how it is packed for a page."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_tutorial.architectures.transformer import AskedNetwork, SensesTransformer, Sizes
from mtl_tutorial.data.grammar import ANSWERS, KINDS, WORDS, tokenize

SIZES = Sizes(vocabulary=len(WORDS))


def asked_network(*, width: int = 32, hidden: int = 64, blocks: int = 2) -> AskedNetwork:
    """Build the lesson's network, with 4 heads, for the grammar's words and answers."""
    return AskedNetwork(SensesTransformer(SIZES, width=width, hidden=hidden, blocks=blocks), KINDS)


def page_weights(model: AskedNetwork) -> dict[str, Any]:
    """Give the network as JSON: parameters in 16 bits, and what they are.

    ``layout`` has a name and a shape for each tensor; ``numbers`` all of them in this order, row
    by row, as little-endian float16 in base64. Matrices are those of ``nn.Linear``: shape (out,
    in), y = W x + b.
    """
    state = {name: tensor for name, tensor in model.state_dict().items()}
    numbers = torch.cat([tensor.flatten() for tensor in state.values()]).half().cpu()
    block: Any = model.encoder.blocks[0]
    return {
        "heads": block.heads,
        "blocks": len(model.encoder.blocks),
        "sizes": model.encoder.sizes._asdict(),
        "words": list(WORDS),
        "answers": list(ANSWERS),
        "layout": [[name, list(tensor.shape)] for name, tensor in state.items()],
        "numbers": base64.b64encode(numbers.numpy().astype("<f2").tobytes()).decode(),
    }


def from_page(found: Mapping[str, Any]) -> AskedNetwork:
    """Give the network that `page_weights` has packed, in evaluation mode."""
    numbers = np.frombuffer(base64.b64decode(found["numbers"]), dtype="<f2").astype(np.float32)
    shapes = dict(found["layout"])
    parts = torch.from_numpy(numbers).split([int(np.prod(shape)) for shape in shapes.values()])
    state = {
        name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }
    model = asked_network(
        width=len(state["encoder.norm.bias"]),
        hidden=len(state["encoder.blocks.0.first.bias"]),
        blocks=found["blocks"],
    )
    model.load_state_dict(state)
    return model.eval()


@torch.no_grad()
def ask(model: AskedNetwork, image: Tensor, sound: Tensor, text: str) -> dict[str, Any]:
    """Ask about one scene: what the page's ``ask`` answers, too.

    Args:
        image: shape ``(16, 16)``.
        sound: shape ``(32, 8)``.
        text: a question in `WORDS`; any row of words is answered, sense or not.

    Returns:
        ``logits`` ``(21,)`` of `ANSWERS`, ``box`` ``(4,)``, and ``looks``, one for each block:
        who looked at whom, ``(H, 32, 32)``.
    """
    question = torch.tensor([tokenize(text)])
    inputs = {"image": image[None, None], "sound": sound[None, None], "question": question}
    features, looks = model.encoder.look(inputs)
    answers = model.answer(features)
    return {
        "logits": answers["which"][0],
        "box": answers["where"][0],
        "looks": [look[0] for look in looks],
    }
