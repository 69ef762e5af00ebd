"""A program in an interpreter of its own, for what can be seen only there: imports, warnings, forks and exits."""

import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[1]


def run_alone(program: str, *arguments: str, options: tuple[str, ...] = (), **environment: str) -> str:
    """Return what the text of a program prints; it has to end well and to complain of nothing, not by a warning either.

    Args:
        program: it may import the SDKs, and what the tests share.
        *arguments: of the program.
        options: of the interpreter, after those that make every warning an error.
        **environment: beside what is there.
    """
    folders = os.pathsep.join(str(ROOT / name) for name in (".", "shared", "tests"))
    done = subprocess.run(
        [sys.executable, "-W", "error", *options, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": folders, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


def written(output: IO[Any]) -> str:
    """Return what a program has written to a file that it was given, while it goes on.

    The place where the program writes next is that of its parent, too: one that went to the beginning to read would
    have the program write there.
    """
    number = output.fileno()
    return os.pread(number, os.fstat(number).st_size, 0).decode(errors="replace")
