"""The options that commands have beside their own."""

from typing import Annotated

from attrs import frozen
from cyclopts import Group, Parameter

__all__ = ["BULK", "COMMON_OPTIONS", "TOOL", "CallOptions", "Json", "Profile", "Sandbox"]

BULK = Group("Many at a time", sort_key=4)
TOOL = Group("This tool", sort_key=5)
COMMON_OPTIONS = Group("Options of all commands", sort_key=9)

Json = Annotated[bool, Parameter(help="Print one JSON document on stdout, errors too.", group=COMMON_OPTIONS)]
Profile = Annotated[
    str | None,
    Parameter(
        help="Profile whose settings to use, and none of the environment's.", metavar="NAME", group=COMMON_OPTIONS
    ),
]
Sandbox = Annotated[
    bool, Parameter(help="Run on a sandbox of the API in this process: nothing is real.", group=COMMON_OPTIONS)
]


@Parameter(name="*")
@frozen(kw_only=True)
class CallOptions:
    """The options of every command that calls the API."""

    json: Json = False
    profile: Profile = None
    sandbox: Sandbox = False
    dry_run: Annotated[
        bool, Parameter(help="Show the request, without the credential, and send nothing.", group=COMMON_OPTIONS)
    ] = False
    yes: Annotated[
        bool, Parameter(name=("--yes", "-y"), help="Do not ask before something is changed.", group=COMMON_OPTIONS)
    ] = False
    timeout: Annotated[
        float | None,
        Parameter(
            help="Seconds for the whole command; left out: 120, or what it says above.",
            metavar="SECONDS",
            group=COMMON_OPTIONS,
        ),
    ] = None
    retries: Annotated[
        int | None,
        Parameter(
            help="How often a call that failed without effect is repeated; left out: 2.",
            metavar="N",
            group=COMMON_OPTIONS,
        ),
    ] = None
    correlation_id: Annotated[
        str | None,
        Parameter(
            help="Id of the calls, in logs and at the API; left out: a new one each.",
            metavar="ID",
            group=COMMON_OPTIONS,
        ),
    ] = None
    verbose: Annotated[
        bool, Parameter(name=("--verbose", "-v"), help="Tell each attempt on stderr.", group=COMMON_OPTIONS)
    ] = False
