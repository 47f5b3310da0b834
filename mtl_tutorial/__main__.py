"""The command line: ``python -m mtl_tutorial``."""

from __future__ import annotations

import argparse
import ast
import difflib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from mtl_tutorial import __version__
from mtl_tutorial.commands import UsageError

# Said here, and not looked up, so that --help needs no torch.
DATA = "two_digits (default), two_fashion, located_digits, seen_and_heard"
ARCHITECTURE = "single_task, single_task_small, hard_sharing (default), cross_stitch, mtan"


def _balancers() -> str:
    """The names in the registry: read, and not imported."""
    source = Path(__file__).with_name("balancing") / "registry.py"
    (table,) = [
        node.value
        for node in ast.parse(source.read_text(encoding="utf-8")).body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "BALANCERS"
    ]
    assert isinstance(table, ast.Dict)
    names = [key.value for key in table.keys if isinstance(key, ast.Constant)]
    return ", ".join(map(str, names)).replace("equal", "equal (default)")


BALANCER = f"{_balancers()}; all of them: all; or fixed weights, such as left=0.5,right=1.5"
DOCTOR = "'python -m mtl_tutorial doctor' says what to mend"
STOPPED, NOBODY_READS = 130, 141  # as a shell gives for SIGINT and SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; give its exit code (0 done, 1 failed, 2 asked for the impossible)."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # θ is not in every encoding
    try:
        try:
            arguments = _read(sys.argv[1:] if argv is None else argv)
            return arguments.pop("run")(**arguments)
        finally:
            if sys.stdout:
                sys.stdout.flush()
    except UsageError as error:
        return _say(error, 2)
    except KeyboardInterrupt:
        return _say("stopped", STOPPED, before="\n")
    except BrokenPipeError:  # as with "| head"
        _leave_stdout_aside()
        return NOBODY_READS
    except OSError as error:
        _leave_stdout_aside()
        if error.errno is None:  # a library of a package
            return _say(f"{error}; {DOCTOR}", 1)
        where = f"{error.filename} can't be used" if error.filename else "nothing can be written"
        return _say(f"{where} ({error.strerror}); mend that, and start again", 1)
    except ImportError as error:
        return _say(f"{error}; {DOCTOR}", 1)


def _say(sentence: object, code: int, before: str = "") -> int:
    print(f"{before}mtl_tutorial: {sentence}", file=sys.stderr)
    return code


def _leave_stdout_aside() -> None:
    """Keep Python from writing at its end what can't be written now."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (AttributeError, OSError, ValueError):
        pass  # it is closed, or no file


def _read(argv: Sequence[str]) -> dict[str, Any]:
    """Give the arguments of one command, or say in one sentence what was not understood."""
    parser, commands = _parser()
    if not argv:
        raise UsageError(
            f"a command is needed: {', '.join(commands)}; '{parser.prog} lab' opens the lessons"
        )
    if argv[0] not in commands and not argv[0].startswith("-"):
        raise UsageError(
            f"command must be one of {', '.join(commands)}, got {argv[0]!r}"
            f"{_did_you_mean(argv[0], commands)}"
        )
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        command = next((word for word in argv if word in commands), None)
        options = (commands[command] if command else parser)._option_string_actions
        word = next((word for word in unknown if word.startswith("-")), unknown[0])
        raise UsageError(
            f"{command or parser.prog} does not take {word!r}"
            + (_did_you_mean(word, options) or f"; {_help_of(command)}")
        )
    return vars(arguments)


def _did_you_mean(word: str, known: Sequence[str] | dict[str, Any]) -> str:
    close = difflib.get_close_matches(word.partition("=")[0], known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _help_of(command: str | None) -> str:
    words = ["python -m mtl_tutorial", command, "--help"]
    return f"'{' '.join(filter(None, words))}' says what it takes"


class _Parser(argparse.ArgumentParser):
    """Leaves it to `main` to say what is wrong."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; '{self.prog} --help' says what it takes")


def _parser() -> tuple[_Parser, dict[str, _Parser]]:
    """Give the parser, and those of the commands by name."""
    parser = _Parser(
        prog="python -m mtl_tutorial", description="An interactive course on multi-task learning."
    )
    parser.add_argument("--version", action="version", version=f"mtl_tutorial {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    lab = commands.add_parser(
        "lab",
        help="open the lessons in JupyterLab",
        description="Open the lessons in JupyterLab: your own copies, in my_lessons, where answers "
        "that follow a guess are not yet shown. Yours is never overwritten.",
    )
    lab.add_argument(
        "lesson", nargs="?", help="number or name, such as 02; a map of the course if left out"
    )
    lab.add_argument(
        "--fresh",
        action="store_true",
        help="start your copy of that lesson anew; the old one is kept under another name",
    )
    lab.add_argument(
        "--show",
        action="store_true",
        help="open the lessons themselves, answers and all, for a projector; they stay as they are",
    )
    lab.add_argument("--port", type=int, help="where to serve; a free port if left out")
    lab.add_argument(
        "--no-browser", dest="browser", action="store_false", help="print the address only"
    )
    lab.set_defaults(run=_lab)

    doctor = commands.add_parser("doctor", help="check this machine, and say what to mend and how")
    doctor.add_argument(
        "--no-network", dest="network", action="store_false", help="don't look for a network"
    )
    doctor.set_defaults(run=_doctor)

    build = commands.add_parser("build", help="run lessons and keep their outputs (maintainers)")
    build.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="number, name or path; all that are out of date if left out",
    )
    build.add_argument("--force", action="store_true", help="all, out of date or not")
    build.set_defaults(run=_build)

    assignment = commands.add_parser(
        "assignment",
        help="make a lesson an assignment for nbgrader (teachers)",
        description="Write a lesson as an assignment for nbgrader: the lesson's own checkers grade "
        "it, and no solution is in it.",
    )
    assignment.add_argument("lesson", help="number or name, such as 02")
    assignment.add_argument(
        "--out", type=Path, default=Path("grading"), metavar="FOLDER", help="grading if left out"
    )
    assignment.set_defaults(run=_assignment)

    site = commands.add_parser(
        "site",
        help="build the course's site, from the lessons as they were built (maintainers)",
        description="Build the site from the committed lessons: nothing is run, and no network is "
        "needed.",
    )
    site.add_argument(
        "--open", dest="show", action="store_true", help="serve it here, and open a browser"
    )
    site.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where to; the folder site if left out"
    )
    site.set_defaults(run=_site)

    slides = commands.add_parser(
        "slides",
        help="show a lesson as slides, with its explorables alive (teachers)",
        description="Build the site, serve it here, and open the slides of a lesson.",
    )
    slides.add_argument("lesson", help="number or name, such as 02")
    slides.add_argument(
        "--out", type=Path, metavar="FOLDER", help="of the site; the folder site if left out"
    )
    slides.set_defaults(run=_slides)

    _add_audit(commands)
    _add_train(commands)
    return parser, commands.choices


def _add_audit(commands: argparse._SubParsersAction) -> None:
    audit = commands.add_parser(
        "audit",
        help="run lessons at other sizes, and say which claims turn (maintainers)",
        description="Run lessons as they come and with one change at a time, and say claim by "
        "claim where it holds and where it turns.",
    )
    audit.add_argument(
        "names", nargs="*", metavar="LESSON", help="number, name or path; all if left out"
    )
    audit.add_argument(
        "--steps", nargs="+", type=float, default=[], metavar="FACTOR", help="such as 2 4"
    )
    audit.add_argument(
        "--seeds",
        nargs="+",
        type=int,
        default=[],
        metavar="FIRST",
        help="such as 3: as many seeds as the lesson has, from this one on",
    )
    audit.add_argument(
        "--rates",
        nargs="+",
        type=float,
        default=[],
        metavar="FACTOR",
        help="such as 0.5 2: of the rate of every optimizer",
    )
    audit.add_argument(
        "--arithmetic", nargs="+", default=[], metavar="NAME", help="of older processors: avx2 sse4"
    )
    audit.add_argument("--workers", type=int, default=1, help="lessons at a time (default 1)")
    audit.add_argument("--results", type=Path, metavar="FILE", help="add what was found to a file")
    audit.set_defaults(run=_audit)


def _add_train(commands: argparse._SubParsersAction) -> None:
    train = commands.add_parser(
        "train",
        help="run a grid of trainings, here or on a cluster",
        description="Run a grid of trainings and print its table. What is in the results folder "
        "already is not run again; stopped at any time, the same command goes on.",
    )
    many = {"nargs": "+", "metavar": "NAME"}
    train.add_argument("--data", default=["two_digits"], help=DATA, **many)
    train.add_argument(
        "--architecture", dest="architectures", default=["hard_sharing"], help=ARCHITECTURE, **many
    )
    train.add_argument("--balancer", dest="balancers", default=["equal"], help=BALANCER, **many)
    train.add_argument(
        "--learning-rate",
        dest="learning_rates",
        nargs="+",
        type=float,
        default=[],
        metavar="RATE",
        help="the data set's own if left out",
    )
    train.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    train.add_argument(
        "--search-seeds",
        nargs="+",
        type=int,
        default=[],
        metavar="SEED",
        help="choose rates and weights by validation on these seeds first, one for each method",
    )
    train.add_argument(
        "--widen",
        action="store_true",
        help="let the search go on where a method's best rate is at an edge, by factors of 2",
    )
    train.add_argument("--profile", default="quick", help="quick (default) or full")
    train.add_argument("--epochs", type=int, help="those of the profile if left out")
    train.add_argument("--device", default="cpu", help="cpu (default), cuda, ...")
    train.add_argument("--workers", type=int, default=1, help="processes at a time (default 1)")
    train.add_argument("--backend", default="local", help="local (default) or dask")
    train.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster")
    train.add_argument("--results", metavar="FOLDER", help="runs/PROFILE if left out")
    train.set_defaults(run=_train)


# Each command is imported when it runs, so that --help answers at once.


def _lab(**arguments) -> int:
    from mtl_tutorial.commands.lab import lab

    lab(**arguments)
    return 0


def _doctor(network: bool) -> int:
    from mtl_tutorial.commands.doctor import examine, format_checks, is_healthy

    checks = examine(network=network)
    print(format_checks(checks))
    return 0 if is_healthy(checks) else 1


def _build(names: list[str], force: bool) -> int:
    from mtl_tutorial.commands.build import build

    return build(names, force=force)


def _assignment(lesson: str, out: Path) -> int:
    from mtl_tutorial.commands.assignment import assignment

    path = assignment(lesson, out)
    print(f"Wrote {path}. In {out}, 'nbgrader generate_assignment {path.stem}' makes what you hand")
    print(f"out, and 'nbgrader autograde {path.stem}' grades what comes back.")
    return 0


def _site(out: Path | None, show: bool) -> int:
    from mtl_tutorial.commands.site import site

    return site(out, show="" if show else None)


def _slides(lesson: str, out: Path | None) -> int:
    from mtl_tutorial.commands.lessons import find_lesson, lessons
    from mtl_tutorial.commands.site import site

    if (path := find_lesson(lesson)) not in lessons():
        raise UsageError(
            f"slides are made of the course's lessons, and {path} is none of them; give a number, "
            "such as 02"
        )
    return site(out, show=f"slides/{path.stem}.html")


def _audit(
    names: list[str],
    steps: list[float],
    seeds: list[int],
    rates: list[float],
    arithmetic: list[str],
    workers: int,
    results: Path | None,
) -> int:
    from mtl_tutorial.commands.audit import audit, sizes

    at = sizes(steps, seeds, rates, arithmetic)
    return audit(names, at=at, workers=workers, results=results)


def _train(**arguments) -> int:
    from mtl_tutorial.commands.train import train

    return train(**arguments)


if __name__ == "__main__":
    sys.exit(main())
