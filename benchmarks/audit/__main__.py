"""`python -m benchmarks.audit [--workflows] [--calls N] [--seed S] [--only NUMBER] [--runtime NAME]`.

It ends with 1 if anything is not zero.
"""

import argparse
import sys

from benchmarks.audit.report import Report, audit
from benchmarks.audit.runtimes import RUNTIMES
from benchmarks.audit.workflows.report import WorkflowReport, audit_workflows

_CALLS, _WORLDS = 20_000, 4_000


def main() -> int:
    """Run the audit and print what it found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description="Does the SDK ever lie?")
    parser.add_argument("--workflows", action="store_true", help="audit the workflows, in worlds of their own")
    parser.add_argument("--calls", type=int, help=f"how many logical calls, or worlds (default: {_CALLS}, {_WORLDS})")
    parser.add_argument("--seed", type=int, default=1, help="what they and their faults are drawn from (default: 1)")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="make just this call, or world, of the run again")
    parser.add_argument("--runtime", choices=RUNTIMES, default="asyncio", help="where they are made (default: asyncio)")
    arguments = parser.parse_args()
    count = arguments.calls or (_WORLDS if arguments.workflows else _CALLS)
    numbers = range(1, count + 1) if arguments.only is None else [arguments.only]
    if arguments.workflows:
        report: WorkflowReport | Report = audit_workflows(arguments.seed, numbers)
    else:
        report = audit(arguments.seed, numbers, arguments.runtime)
    where = "workflows" if arguments.workflows else arguments.runtime
    print(f"seed {arguments.seed}, {where}: ", end="")
    for line in report.lines():
        print(line)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
