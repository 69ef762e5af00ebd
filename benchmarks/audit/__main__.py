"""`python -m benchmarks.audit [--calls N] [--seed S] [--only NUMBER] [--runtime NAME]`; 1 if anything is not zero."""

import argparse
import sys

from benchmarks.audit.report import audit
from benchmarks.audit.runtimes import RUNTIMES


def main() -> int:
    """Run the audit and print what it found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description="Does the SDK ever lie?")
    parser.add_argument("--calls", type=int, default=20_000, help="how many logical calls (default: 20,000)")
    parser.add_argument("--seed", type=int, default=1, help="what they and their faults are drawn from (default: 1)")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="make just this call of the run again")
    parser.add_argument("--runtime", choices=RUNTIMES, default="asyncio", help="where they are made (default: asyncio)")
    arguments = parser.parse_args()
    numbers = range(1, arguments.calls + 1) if arguments.only is None else [arguments.only]
    report = audit(arguments.seed, numbers, arguments.runtime)
    print(f"seed {arguments.seed}, {arguments.runtime}: ", end="")
    for line in report.lines():
        print(line)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
