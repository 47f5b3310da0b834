"""Results of runs, made up: of methods and networks, over seeds, with given scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

FLAT = ([0.5], [0.5])


def result(
    balancer="equal",
    seed=0,
    *,
    rate=0.1,
    data="two_digits",
    architecture="hard_sharing",
    curves=FLAT,
    test=None,
    commit="abc",
    **more,
):
    """A result of format 1, or what ``more`` makes of it."""
    return {
        "setting": {
            "data": data,
            "architecture": architecture,
            "balancer": balancer,
            "learning_rate": rate,
            "seed": seed,
        },
        "curves": {"validation metric": dict(zip(("left", "right"), curves, strict=True))},
        "test": test and {t: {"loss": 1.0, "metric": m} for t, m in test.items()},
        "diverged": None if test else "epoch 1",
        "provenance": {
            "device": "cpu (x)",
            "training_seconds": 9.0,
            "cpu_seconds": 2.0,
            "peak_memory_mb": 5.0,
            "commit": commit,
            "torch": "2",
        },
    } | more


def dead(name: str, seed: int, chance: float | None) -> dict:
    """A run that diverged."""
    return result(name, seed, tasks=["left", "right"], chance={"left": chance, "right": chance})


def runs_of(values: Mapping[str, Iterable[float]], **more) -> list[dict]:
    """Results of methods, or of networks that share nothing, over seeds; both tasks alike."""
    return [
        result(
            "equal" if name.startswith("single") else name,
            seed,
            architecture=name if name.startswith("single") else "hard_sharing",
            test={"left": value, "right": value},
            **more,
        )
        for name, row in values.items()
        for seed, value in enumerate(row)
    ]


LAYERS = ("encoder.layers.0", "encoder.layers.3", "encoder.layers.7", "all")
PAIR = ("left", "right")


def flown(balancer="pcgrad", seed=0, epochs=3, cosine=0.5, **setting) -> dict:
    """What a run on two digits leaves, with cosines that fall by 0.3 a layer."""
    cosines = {name: [cosine - 0.3 * i] * epochs for i, name in enumerate(LAYERS)}
    rising = [round(0.5 + 0.4 * (e + 1) / epochs, 3) for e in range(epochs)]
    curves = {name: {"left": rising, "right": rising} for name in ("validation metric", "weight")}
    return {
        "setting": {
            "data": "two_digits", "architecture": "hard_sharing", "balancer": balancer,
            "learning_rate": 0.05, "seed": seed,
        } | setting,
        "protocol": {"profile": "quick", "epochs": epochs},
        "provenance": {
            "device": "cpu (x)", "mtl_tutorial": "1", "torch": "2", "torchjd": None,
            "python": "3.12", "commit": "abc", "date": "2030-01-01",
        },
        "curves": curves | {"cosine": {"left, right": cosines}},
    }  # fmt: skip
