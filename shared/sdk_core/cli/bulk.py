"""The commands of bulk runs: `bulk`, `status`, `report` and `worker`, the same for both SDKs.

What they do is in `bulk_work`, which is imported when one of them runs: other commands, and the help, begin sooner.
"""

from pathlib import Path
from typing import Annotated, Literal

from attrs import frozen
from cyclopts import App, Parameter

from sdk_core.cli.bulk_parts import BulkParts
from sdk_core.cli.exits import Exit
from sdk_core.cli.options import BULK, COMMON_OPTIONS, Json, Profile, Sandbox

__all__ = ["BulkCommands", "add_bulk"]


def _no_option(_kind: object, given: str | None) -> None:
    """Refuse what looks like an option: a plan may be `-`, which needs a parameter that takes hyphens."""
    if given is not None and given.startswith("-") and given != "-":
        raise ValueError("There is no such option.")


_Plan = Annotated[str | None, Parameter(metavar="PLAN", allow_leading_hyphen=True, validator=_no_option)]
_Files = Annotated[Path | None, Parameter(metavar="FILE")]
_Text = Annotated[str | None, Parameter(metavar="TEXT")]
_Url = Annotated[str | None, Parameter(metavar="URL")]
_Number = Annotated[int, Parameter(metavar="NUMBER", show_default=True)]
_Seconds = Annotated[float, Parameter(metavar="SECONDS", show_default="{:g}".format)]
_SecondsOrNone = Annotated[float | None, Parameter(metavar="SECONDS", show_default="{:g}".format)]
_Journal = Annotated[Path, Parameter(metavar="JOURNAL")]


@frozen
class BulkCommands:
    """The commands of one SDK."""

    parts: BulkParts

    async def bulk(
        self,
        plan: _Plan = None,
        /,
        *,
        journal: _Files = None,
        operation: _Text = None,
        resume: bool = False,
        concurrency: _Number = 20,
        max_failures: Annotated[int | None, Parameter(metavar="NUMBER")] = None,
        confirm: bool = False,
        resend_after: _SecondsOrNone = 60.0,
        results: _Files = None,
        engine: Annotated[Literal["in-process", "docket"], Parameter(show_default=True)] = "in-process",
        redis: _Url = None,
        json: Json = False,
        profile: Profile = None,
        sandbox: Sandbox = False,
        dry_run: Annotated[bool, Parameter(group=COMMON_OPTIONS)] = False,
        yes: Annotated[bool, Parameter(name=("--yes", "-y"), group=COMMON_OPTIONS)] = False,
    ) -> Exit:
        """Carry out a plan of many rows; it can be killed at any moment, and goes on with --resume.

        The whole plan is checked before the first row is sent. Ctrl-C finishes the rows under way; once more, and they
        are cancelled. Exit code 0: every row is as it was asked for; 6: of some it is not known, whatever else
        happened; 130: Ctrl-C; 4: the credential was refused; 1: some failed.

        A plan's columns are the arguments of an operation or a workflow: the overview (`--help` alone) lists these, and
        `COMMAND --help` the options that are its columns, as in `customer_id,contract_id`.

        Args:
            plan: CSV or JSONL, `-` for stdin; with --resume it may be left out.
            journal: File of the run: what was sent, and what came of it. Only --dry-run and --sandbox need none.
            operation: What all rows ask for, an operation or a workflow; left out: the column `operation` says it.
            resume: Go on with the run of this journal. What has ended is not repeated, unless nothing happened and it
                may succeed now; what may have been sent is read first.
            concurrency: How many rows are sent at a time.
            max_failures: Stop after so many rows that failed; left out: it does not stop.
            confirm: After the API said yes, read until it shows.
            resend_after: Seconds after which a request whose answer was lost is sent once more, if
                reading shows no effect; 'none': it never is.
            results: File for the result of each row; its name ends with .csv or .jsonl.
            engine: Where rows are carried out: here, or by the workers that `worker` starts.
            redis: URL of the Redis where workers get rows; left out: the environment variable REDIS_URL.
            json: Print the summary as one JSON document on stdout, errors too.
            profile: Profile whose settings to use.
            sandbox: Run on a sandbox of the API in this process: nothing is real, and no journal is kept.
            dry_run: Check the plan, and send nothing.
            yes: Do not ask before the first row is sent.
        """
        from sdk_core.cli.bulk_work import Order, begin  # noqa: PLC0415  not before it is needed; so below

        order = Order(
            plan=plan,
            journal=journal,
            results=results,
            operation=operation,
            resume=resume,
            json=json,
            profile=profile,
            sandbox=sandbox,
            dry_run=dry_run,
            yes=yes,
            redis=(redis or "") if engine == "docket" else None,
        )
        rows = {"confirm": confirm, "resend_after": resend_after}
        return await begin(self.parts, order, rows, concurrency=concurrency, max_failures=max_failures)

    def status(self, journal: _Journal, /, *, json: Json = False) -> Exit:
        """Show where a run is, while it is under way or afterwards.

        Args:
            journal: File of the run.
            json: Print one JSON document on stdout, errors too.
        """
        from sdk_core.cli.bulk_work import show_status  # noqa: PLC0415  as above

        return show_status(self.parts.program, journal, json=json)

    def report(
        self, journal: _Journal, results: Annotated[Path, Parameter(metavar="RESULTS")], /, *, json: Json = False
    ) -> Exit:
        """Write the result of each row of a run to a file, while it is under way or afterwards.

        Args:
            journal: File of the run.
            results: The file to write; its name ends with .csv or .jsonl. Only results of the same run are replaced.
            json: Print one JSON document on stdout, errors too.
        """
        from sdk_core.cli.bulk_work import write_report  # noqa: PLC0415  as above

        return write_report(self.parts.program, journal, results, json=json)

    async def worker(
        self,
        *,
        redis: _Url = None,
        concurrency: _Number = 20,
        redelivery_timeout: _Seconds = 60.0,
        profile: Profile = None,
    ) -> Exit:
        """Carry out rows that `bulk --engine docket` hands out, until it is ended.

        Args:
            redis: URL of the Redis where workers get rows; left out: the environment variable REDIS_URL.
            concurrency: How many rows at a time.
            redelivery_timeout: Seconds after which the rows of a worker that died are given to another.
            profile: Profile whose settings to use.
        """
        from sdk_core.cli.bulk_work import work_on_rows  # noqa: PLC0415  as above

        return await work_on_rows(
            self.parts, redis, profile, concurrency=concurrency, redelivery_timeout=redelivery_timeout
        )


def add_bulk(app: App, commands: BulkCommands) -> None:
    """Add the commands to a command line."""
    name = commands.parts.program
    app.command(commands.bulk, group=BULK, usage=f"{name} bulk PLAN --journal FILE [OPTIONS]")
    for command in (commands.status, commands.report, commands.worker):
        app.command(command, group=BULK)
