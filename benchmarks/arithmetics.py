"""Runs lessons under other arithmetics, as other processors have, and prints the cells that fail.

python benchmarks/arithmetics.py [--only NAME...] [LESSON...]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

from mtl_tutorial.commands.lessons import find_lesson, lessons

NBVAL = ("-q", "-n0", "-pno:cacheprovider", "--nbval-lax", "--nbval-current-env")
ARITHMETICS = {
    "native": {},
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "DNNL_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
    "sse4": {
        "ATEN_CPU_CAPABILITY": "default",
        "DNNL_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
}


def failures(lesson: Path, arithmetic: dict[str, str]) -> list[str]:
    """Run a lesson through nbval in the quick profile; give a line for each cell that fails."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *NBVAL, f"--junitxml={report}", str(lesson)],
            env={**os.environ, **arithmetic, "MTL_PROFILE": "quick"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, 1):
            raise SystemExit(done.stdout + done.stderr)
        cases = ET.parse(report).getroot().iter("testcase")
        return [
            f"{case.get('name')}: {problem.text.strip().splitlines()[-1]}"
            for case in cases
            for problem in (*case.findall("failure"), *case.findall("error"))
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="such as 02; left out, every lesson")
    parser.add_argument(
        "--only", nargs="+", choices=ARITHMETICS, default=list(ARITHMETICS), metavar="NAME"
    )
    arguments = parser.parse_args()
    failed = 0
    for path in map(find_lesson, arguments.names) if arguments.names else lessons():
        for name in arguments.only:
            start = time.perf_counter()
            lines = failures(path, ARITHMETICS[name])
            seconds = time.perf_counter() - start
            print(
                f"{path.stem:<24} {name:<7} {seconds:4.0f} s  {len(lines)} cells fail", flush=True
            )
            for line in lines:
                print(f"    {line}", flush=True)
            failed += len(lines)
    raise SystemExit(failed > 0)


if __name__ == "__main__":
    main()
