"""`python -m benchmarks.audit [--workflows | --lists] [--calls N] [--seed S] [--only NUMBER] [--runtime NAME]`.

It ends with 1 if anything is not zero.
"""

import argparse
import sys

from benchmarks.audit.lists.report import ListReport, audit_lists
from benchmarks.audit.report import Report, audit
from benchmarks.audit.runtimes import RUNTIMES
from benchmarks.audit.workflows.report import WorkflowReport, audit_workflows

_CALLS, _WORLDS, _LISTS = 20_000, 4_000, 4_000


def main() -> int:
    """Run the audit and print what it found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description="Does the SDK ever lie?")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--workflows", action="store_true", help="audit the workflows, in worlds of their own")
    kind.add_argument("--lists", action="store_true", help="audit what is read of lists, whatever form they have")
    parser.add_argument(
        "--calls", type=int, help=f"how many calls, worlds or lists (default: {_CALLS}, {_WORLDS}, {_LISTS})"
    )
    parser.add_argument("--seed", type=int, default=1, help="what they and their faults are drawn from (default: 1)")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="make just this call, or world, of the run again")
    parser.add_argument("--runtime", choices=RUNTIMES, default="asyncio", help="where they are made (default: asyncio)")
    arguments = parser.parse_args()
    count = arguments.calls or (_WORLDS if arguments.workflows else _LISTS if arguments.lists else _CALLS)
    numbers = range(1, count + 1) if arguments.only is None else [arguments.only]
    if arguments.workflows:
        report: WorkflowReport | ListReport | Report = audit_workflows(arguments.seed, numbers)
    elif arguments.lists:
        report = audit_lists(arguments.seed, numbers)
    else:
        report = audit(arguments.seed, numbers, arguments.runtime)
    where = "workflows" if arguments.workflows else "lists" if arguments.lists else arguments.runtime
    print(f"seed {arguments.seed}, {where}: ", end="")
    for line in report.lines():
        print(line)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
