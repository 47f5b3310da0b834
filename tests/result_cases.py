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
