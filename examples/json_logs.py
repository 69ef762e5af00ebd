"""Log records as JSON lines, with the fields that the SDK gives them; and a counter of outcomes.

export MEMBERSHIP_BASE_URL=https://acme.open-api.magicline.com MEMBERSHIP_API_KEY=...
python json_logs.py
"""

import asyncio
import json
import logging
import os
from collections import Counter

from membership_sdk import CallInfo, MembershipClient, SdkError, Telemetry


class JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of the record, and all its fields that begin with `sdk_`."""
        fields = {name: value for name, value in vars(record).items() if name.startswith("sdk_")}
        return json.dumps({"level": record.levelname, "text": record.getMessage(), **fields})


class Outcomes(Telemetry):
    """Counts how calls ended, by operation and outcome: never by an id."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def on_call_end(self, call: CallInfo, error: BaseException | None, elapsed: float) -> None:  # noqa: ARG002  a time for a histogram
        """Count a call."""
        outcome = "success" if error is None else error.outcome.value if isinstance(error, SdkError) else "other"
        self.counts[call.operation.name, outcome] += 1


async def main() -> None:
    """Read the contracts of a member."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    outcomes = Outcomes()
    url, key = os.environ["MEMBERSHIP_BASE_URL"], os.environ["MEMBERSHIP_API_KEY"]
    async with MembershipClient(url, key, telemetry=outcomes) as client:
        await client.get_contract_data(customer_id=1001)
    print(dict(outcomes.counts))


asyncio.run(main())
