"""A small transformer that reads an image, a sound and a question as one row of tokens."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_tutorial.architectures.encoders import at_least_one
from mtl_tutorial.tasks import Task, unique_names

BOX = 4  # numbers of an answer that is a box
SPREAD = 0.1  # standard deviation of new words, places and of the readout


def attention(queries: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention: A = softmax(Q Kᵀ / √d), and A V.

    Args:
        queries: shape ``(..., N, d)``.
        keys, values: shape ``(..., M, d)``.

    Returns:
        A V, shape ``(..., N, d)``, and A, ``(..., N, M)``; its rows sum to 1.

    Source: Vaswani et al. 2017, equation 1 (arXiv 1706.03762).
    """
    scale = math.sqrt(queries.shape[-1])
    weights = (queries / scale @ keys.transpose(-2, -1)).softmax(dim=-1)
    return weights @ values, weights


class TransformerBlock(nn.Module):
    """Tokens look at each other, and each thinks by itself; layer norm comes first.

    x ← x + W_o attention(W_q LN(x), W_k LN(x), W_v LN(x)), with H heads of d / H numbers;
    x ← x + W_2 ReLU(W_1 LN(x)).

    Args:
        width: d, numbers a token.
        heads: H, which divides d.
        hidden: numbers between W_1 and W_2.

    Raises:
        ValueError: where a number is below 1, or the heads do not divide the width.

    Source: Xiong et al. 2020, On Layer Normalization in the Transformer Architecture, figure 1b
    (arXiv 2002.04745).
    """

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        at_least_one(width=width, heads=heads, hidden=hidden)
        if width % heads:
            raise ValueError(f"heads must divide the width of a token, got {heads} and {width}")
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_qkv, self.to_out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.first, self.second = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, tokens: Tensor, count: int | None = None) -> Tensor:
        """Give the tokens after the block, shape ``(B, N, width)``; see `look`."""
        return self.look(tokens, count)[0]

    def look(self, tokens: Tensor, count: int | None = None) -> tuple[Tensor, Tensor]:
        """Give the tokens after the block, and who looked at whom, ``(B, H, N, N)``.

        Args:
            tokens: shape ``(B, N, width)``.
            count: how many tokens look, from the first on; the others are looked at, and left out
                of what is given.
        """
        x, width = self.norm_1(tokens), tokens.shape[2]
        weight, bias = self.to_qkv.weight, self.to_qkv.bias
        tokens = tokens[:, :count]
        q = F.linear(x[:, :count], weight[:width], bias[:width])
        k, v = F.linear(x, weight[width:], bias[width:]).chunk(2, dim=2)
        seen, looks = attention(
            *(part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        )
        tokens = tokens + self.to_out(seen.transpose(1, 2).flatten(2))
        return tokens + self.second(self.first(self.norm_2(tokens)).relu()), looks


class Sizes(NamedTuple):
    """What a row of tokens is made of.

    Args:
        patches: of the image, each a square.
        pixels: in a patch.
        columns: of the spectrogram.
        bands: in a column.
        words: places for words in a question.
        vocabulary: different words.
    """

    patches: int = 16
    pixels: int = 16
    columns: int = 8
    bands: int = 32
    words: int = 7
    vocabulary: int = 21


class SensesTransformer(nn.Module):
    """Image patches, spectrogram columns and words as one row of tokens; the readout is given.

    Token 0 is the readout; then the patches (row by row), the columns (in time) and the words.
    A patch or column is brought to the width by a linear layer, a word by a table, and each place
    adds a vector of its own. After the last block, LN of the readout is the features.

    Args:
        sizes: of the row. With ``words=0`` it reads no question.
        width, heads, hidden, blocks: as in `TransformerBlock`, and how many of them.

    Raises:
        ValueError: as `TransformerBlock`.
    """

    def __init__(
        self,
        sizes: Sizes = Sizes(),  # noqa: B008  a tuple can't change
        *,
        width: int = 32,
        heads: int = 4,
        hidden: int = 64,
        blocks: int = 2,
    ) -> None:
        super().__init__()
        at_least_one(blocks=blocks)
        self.sizes, self.out_features = sizes, width
        self.patch, self.column = nn.Linear(sizes.pixels, width), nn.Linear(sizes.bands, width)
        self.word = nn.Embedding(sizes.vocabulary, width) if sizes.words else None
        count = 1 + sizes.patches + sizes.columns + sizes.words
        self.place = nn.Parameter(SPREAD * torch.randn(count, width))  # the first is the readout
        self.blocks = nn.ModuleList(TransformerBlock(width, heads, hidden) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        if self.word is not None:
            nn.init.normal_(self.word.weight, std=SPREAD)

    def tokens(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Give the row of tokens, shape ``(B, 1 + patches + columns + words, width)``.

        Args:
            inputs: ``image`` ``(B, 1, H, W)``, ``sound`` ``(B, 1, bands, columns)`` and, where
                questions are read, ``question`` ``(B, words)``, numbers of words.

        Raises:
            ValueError: naming the input that is not there, or has another shape.
        """
        self._check(inputs)
        image, sound = inputs["image"], inputs["sound"]
        parts = [
            image.new_zeros(len(image), 1, self.out_features),
            self.patch(patches(image, math.isqrt(self.sizes.pixels))),
            self.column(sound[:, 0].transpose(1, 2)),
        ]
        if self.word is not None:
            parts.append(self.word(inputs["question"]))
        return torch.cat(parts, dim=1) + self.place

    def _check(self, inputs: Mapping[str, Tensor]) -> None:
        sizes = self.sizes
        whole = math.isqrt(sizes.patches * sizes.pixels)  # images are square
        shapes: dict[str, tuple[int, ...]] = {
            "image": (1, whole, whole),
            "sound": (1, sizes.bands, sizes.columns),
            **({"question": (sizes.words,)} if sizes.words else {}),
        }
        for name, shape in shapes.items():
            if name not in inputs:
                raise ValueError(f"inputs must have {name!r}, got {sorted(inputs)}")
            if tuple(inputs[name].shape[1:]) != shape:
                wanted = ", ".join(map(str, ("B", *shape)))
                raise ValueError(
                    f"{name} must have shape ({wanted}), got {tuple(inputs[name].shape)}"
                )

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Give the features, shape ``(B, width)``; in the last block, the readout alone looks."""
        tokens = self.tokens(inputs)
        for block in self.blocks[:-1]:
            tokens = block(tokens)
        return self.norm(self.blocks[-1](tokens, 1)[:, 0])

    def look(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Give the features, and for each block who looked at whom, ``(B, H, N, N)``."""
        tokens, looks = self.tokens(inputs), []
        blocks: Any = self.blocks
        for block in blocks:
            tokens, weights = block.look(tokens)
            looks.append(weights)
        return self.norm(tokens[:, 0]), looks

    def last_layer(self) -> nn.Module:
        """The last linear layer before the features."""
        last: Any = self.blocks[-1]
        return last.second


def patches(image: Tensor, side: int) -> Tensor:
    """Cut images ``(B, 1, H, W)`` into squares, row by row: ``(B, H W / side², side²)``."""
    rows = image[:, 0].unflatten(2, (-1, side)).unflatten(1, (-1, side))
    return rows.transpose(2, 3).flatten(3).flatten(1, 2)


class AskedNetwork(nn.Module):
    """One network for any question: the question is part of the input, the answer is a word.

    f = SensesTransformer(image, sound, question), ŷ = W_k f + b_k, with one linear layer for all
    tasks whose answers have k numbers. Tasks are kinds of questions here: which of them is asked
    stands in the question alone. Answers of 4 numbers are boxes, and go through σ.

    Args:
        encoder: a `SensesTransformer` that reads questions.
        tasks: kinds of questions.

    Raises:
        ValueError: where there is no task, two have one name, or the encoder reads no questions.
    """

    def __init__(self, encoder: SensesTransformer, tasks: Iterable[Task]) -> None:
        super().__init__()
        tasks = tuple(tasks)
        unique_names(tasks)
        if encoder.word is None:
            raise ValueError("the encoder must read questions; build it with words ≥ 1")
        self.encoder = encoder
        self.widths = {task.name: task.out_features for task in tasks}
        self.answers = nn.ModuleDict(
            {
                f"of_{width}": nn.Linear(encoder.out_features, width)
                for width in sorted(set(self.widths.values()))
            }
        )

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Give the answer of each width under the name of every task that has it."""
        return self.answer(self.encoder(inputs))

    def answer(self, features: Tensor) -> dict[str, Tensor]:
        """Give the answers that features ``(B, width)`` lead to, by task name."""
        given = {}
        for name, layer in self.answers.items():
            y = layer(features)
            given[name] = y.sigmoid() if y.shape[1] == BOX else y
        return {task: given[f"of_{width}"] for task, width in self.widths.items()}

    def last_shared_layer(self) -> nn.Module:
        """The last linear layer of the encoder."""
        return self.encoder.last_layer()


class HeadAQuestion(nn.Module):
    """The same trunk without the question, and a linear head for each question.

    ŷ_q = W_q f + b_q with f = SensesTransformer(image, sound). Head q has one row for each answer
    that question q can have; all other words get the logit −30.

    Args:
        encoder: a `SensesTransformer` with ``words=0``.
        tasks: kinds of questions, as of `AskedNetwork`.
        allowed: which words question q can be answered with, bool, ``(Q, vocabulary)``; a row
            without any is one that is answered with a box.

    Raises:
        ValueError: where there is no task, two have one name, or the encoder reads questions.
    """

    rows: Tensor

    def __init__(self, encoder: SensesTransformer, tasks: Iterable[Task], allowed: Tensor) -> None:
        super().__init__()
        tasks = tuple(tasks)
        unique_names(tasks)
        if encoder.word is not None:
            raise ValueError("the encoder must not read questions; build it with words=0")
        self.encoder = encoder
        self.widths = {task.name: task.out_features for task in tasks}
        rows = torch.full(allowed.shape, int(allowed.sum()))  # the last row stands for "not this"
        rows[allowed] = torch.arange(int(allowed.sum()))
        self.register_buffer("rows", rows)
        self.heads = nn.Linear(encoder.out_features, int(allowed.sum()))
        self.box = nn.Linear(encoder.out_features, BOX)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Give what the head of question ``inputs["number"]`` answers, under every task's name."""
        features = self.encoder(inputs)
        all_heads = torch.cat([self.heads(features), features.new_full((len(features), 1), -30)], 1)
        words = all_heads.gather(1, self.rows[inputs["number"]])
        box = self.box(features).sigmoid()
        return {name: box if width == BOX else words for name, width in self.widths.items()}

    def last_shared_layer(self) -> nn.Module:
        """The last linear layer of the encoder."""
        return self.encoder.last_layer()
