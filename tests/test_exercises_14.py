"""Each plausible wrong answer in lesson 14 gets the hint that fits it."""

from __future__ import annotations

import base64

import pytest
import torch
from exercise_answers import told, wrong_answer_tests
from torch.nn import functional as F

from mtl_tutorial.data.grammar import ANSWERS, DIGIT_SIDE, SIDE
from mtl_tutorial.exercises.lesson_14 import q1, q2, q3, q4
from mtl_tutorial.experiments.asked import ask, trained_network
from mtl_tutorial.widgets.ask_the_network import AskTheNetwork

ALL = {"q1": q1, "q2": q2, "q3": q3, "q4": q4}


def scores(q, k):
    return q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5


def hides_after(q, k, v, may):
    return (scores(q, k).softmax(-1) * may) @ v


def fills_with_zero(q, k, v, may):
    return torch.where(may, scores(q, k), 0.0).softmax(-1) @ v


def hides_the_others(q, k, v, may):
    return scores(q, k).masked_fill(may, -torch.inf).softmax(-1) @ v


def forgets_the_scale(q, k, v, may):
    return (q @ k.transpose(-2, -1)).masked_fill(~may, -torch.inf).softmax(-1) @ v


def fills_with_twenty(q, k, v, may):
    return scores(q, k).masked_fill(~may, -20).softmax(-1) @ v


def multiplies_by_infinity(q, k, v, may):
    return (scores(q, k) + (~may) * -torch.inf).softmax(-1) @ v


def takes_the_values_width(q, k, v, may):
    product = q @ k.transpose(-2, -1) / v.shape[-1] ** 0.5
    return product.masked_fill(~may, -torch.inf).softmax(-1) @ v


def gives_the_mean(q, k, v, may):
    return v[..., may, :].mean(-2, keepdim=True).expand(*q.shape[:-1], v.shape[-1])


def gives_a_list(q, k, v, may):
    return (scores(q, k).softmax(-1) @ v).tolist()


def without_gradients(q, k, v, may):
    with torch.no_grad():
        return with_torch(q, k, v, may)


def writes_over(q, k, v, may):
    q /= q.shape[-1] ** 0.5
    return (q @ k.transpose(-2, -1)).masked_fill(~may, -torch.inf).softmax(-1) @ v


def divides_by_nothing(q, k, v, may):
    shares = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).exp() * may
    return shares / shares.sum(-1, keepdim=True) @ v


WRONG = [
    ("q1", [0.5, 12], "the weight of the first key is not right yet"),
    ("q1", [0.6, 15], "what is read is not right yet"),
    ("q1", [12, 0.6], "The weight comes first"),
    ("q1", [60, 12], "as a share"),
    ("q1", 0.6, "2 numbers are needed"),
    ("q1", [0.3, 12], "the weight of the first key is not right yet"),
    ("q2", hides_after, "no longer sum to 1"),
    ("q2", fills_with_zero, "exp(0) = 1"),
    ("q2", hides_the_others, "You hide what may be seen"),
    ("q2", forgets_the_scale, "divided by √d"),
    ("q2", fills_with_twenty, "lower than −20"),
    ("q2", multiplies_by_infinity, "There are NaNs"),
    ("q2", without_gradients, "no gradient goes back"),
    ("q2", writes_over, "writes into the tensors"),
    ("q2", divides_by_nothing, "There are NaNs"),
    ("q2", takes_the_values_width, "one query and two keys"),
    ("q2", gives_the_mean, "one query and two keys"),
    ("q2", gives_a_list, "What is read is needed"),
    ("q3", 3, "pick each digit from 0 to 9"),
    ("q3", 90, "not percent"),
    ("q3", 0.9, "not a share"),
    ("q3", "9", "without quotation marks"),
    ("q4", "f", "is needed"),
]

test_a_wrong_answer_gets_the_hint_that_fits_it, test_four_are_tried = wrong_answer_tests(ALL, WRONG)


def with_torch(q, k, v, may):
    mask = may.expand(*q.shape[:-1], len(may))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def leaves_keys_out(q, k, v, may):
    return scores(q, k[..., may, :]).softmax(-1) @ v[..., may, :]


def gives_weights_too(q, k, v, may):
    weights = scores(q, k).masked_fill(~may, -1e9).softmax(-1)
    return weights @ v, weights


@pytest.mark.parametrize("answer", [with_torch, leaves_keys_out, gives_weights_too])
def test_masked_attention_may_be_written_in_several_ways(answer, capsys) -> None:
    assert "Correct." in told(q2, answer, capsys)


def test_the_count_can_be_read_off_the_widget(capsys) -> None:
    widget, model = AskTheNetwork(), trained_network()
    image, (x, y), take = torch.zeros(SIDE, SIDE), map(int, widget.place), int(widget.take)
    pixels = base64.b64decode(widget.scenes["images"][7][take])
    digit = torch.tensor(list(pixels)).view(DIGIT_SIDE, DIGIT_SIDE) / 255
    image[y : y + DIGIT_SIDE, x : x + DIGIT_SIDE] = digit
    answers = []
    for heard in range(10):
        sound = base64.b64decode(widget.scenes["sounds"][heard][take])
        spectrogram = torch.tensor(list(sound)).view(32, 8) / 100 - 1
        logits = ask(model, image, spectrogram, "is heard even")["logits"]
        answers.append(ANSWERS[int(logits.argmax())])
    assert widget.seen == 7
    count = sum(answer not in ("yes", "no") for answer in answers)
    assert "Correct." in told(q3, count, capsys), answers
