"""The commands of bulk runs: `bulk`, `status`, `report` and `worker`, the same for both SDKs.

What they do is in `bulk_work`, which is imported when one of them runs: other commands, and the help, begin sooner.
"""

from pathlib import Path
from typing import Literal

from attrs import frozen
from cyclopts import App

from sdk_core.cli.bulk_parts import BulkParts
from sdk_core.cli.exits import Exit
from sdk_core.cli.options import BULK

__all__ = ["BulkCommands", "add_bulk"]


@frozen
class BulkCommands:
    """The commands of one SDK."""

    parts: BulkParts

    async def bulk(
        self,
        plan: str | None = None,
        /,
        *,
        journal: Path,
        operation: str | None = None,
        resume: bool = False,
        concurrency: int = 20,
        max_failures: int | None = None,
        confirm: bool = False,
        resend_after: float = 60.0,
        results: Path | None = None,
        dry_run: bool = False,
        yes: bool = False,
        engine: Literal["in-process", "docket"] = "in-process",
        redis: str | None = None,
    ) -> Exit:
        """Carry out a plan of many rows; it can be killed at any moment, and goes on with --resume.

        The whole plan is checked before the first row is sent. Ctrl-C finishes the rows under way; once more, and they
        are cancelled. Exit code 0: every row is as it was asked for; 1: some failed; 6: of some it is not known.

        Args:
            plan: CSV or JSONL, `-` for stdin; with --resume it may be left out. Its columns are an
                operation's arguments.
            journal: File of the run: what was sent, and what came of it.
            operation: What all rows ask for, an operation or a workflow; left out: the column `operation` says it.
            resume: Go on with the run of this journal. What has ended is not repeated; what may have
                been sent is read first.
            concurrency: How many rows are sent at a time.
            max_failures: Stop after so many rows that failed.
            confirm: After the API said yes, read until it shows.
            resend_after: Seconds after which a request whose answer was lost is sent once more, if
                reading shows no effect.
            results: File for the result of each row, CSV or JSONL by its name.
            dry_run: Check the plan, and send nothing.
            yes: Do not ask before the first row is sent.
            engine: Where rows are carried out: here, or by the workers that `worker` starts.
            redis: URL of the Redis where workers get rows; left out: the environment variable REDIS_URL.
        """
        from sdk_core.cli.bulk_work import begin  # noqa: PLC0415  not before it is needed; so below

        return await begin(
            self.parts,
            plan,
            {
                "journal": journal,
                "operation": operation,
                "resume": resume,
                "concurrency": concurrency,
                "max_failures": max_failures,
            },
            {"confirm": confirm, "resend_after": resend_after},
            redis=(redis or "") if engine == "docket" else None,
            results=results,
            dry_run=dry_run,
            yes=yes,
        )

    def status(self, journal: Path, /, *, json: bool = False) -> Exit:
        """Show where a run is, while it is under way or afterwards.

        Args:
            journal: File of the run.
            json: Print one JSON document.
        """
        from sdk_core.cli.bulk_work import show_status  # noqa: PLC0415  as above

        return show_status(journal, json=json)

    def report(self, journal: Path, results: Path, /) -> Exit:
        """Write the result of each row of a run to a file, while it is under way or afterwards.

        Args:
            journal: File of the run.
            results: The file to write: CSV or JSONL, by its name.
        """
        from sdk_core.cli.bulk_work import write_report  # noqa: PLC0415  as above

        return write_report(journal, results)

    async def worker(
        self, *, redis: str | None = None, concurrency: int = 20, redelivery_timeout: float = 60.0
    ) -> Exit:
        """Carry out rows that `bulk --engine docket` hands out, until it is ended.

        Args:
            redis: URL of the Redis where workers get rows; left out: the environment variable REDIS_URL.
            concurrency: How many rows at a time.
            redelivery_timeout: Seconds after which the rows of a worker that died are given to another.
        """
        from sdk_core.cli.bulk_work import work_on_rows  # noqa: PLC0415  as above

        return await work_on_rows(self.parts, redis, concurrency=concurrency, redelivery_timeout=redelivery_timeout)


def add_bulk(app: App, commands: BulkCommands) -> None:
    """Add the commands to a command line."""
    for command in (commands.bulk, commands.status, commands.report, commands.worker):
        app.command(command, group=BULK)
