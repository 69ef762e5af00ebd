"""What is sent and answered, the same for every client."""

import json
from datetime import date
from typing import Any, Final

__all__ = ["API_KEY", "CANCELATION", "CONTRACT_ID", "DAY", "REASON_ID", "contracts"]

API_KEY: Final = "0123456789abcdef"
CONTRACT_ID: Final = 1001
REASON_ID: Final = 7
DAY: Final = date(2026, 12, 31)
CANCELATION: Final = {
    "cancelationDate": DAY.isoformat(),
    "cancelationReasonId": REASON_ID,
    "contractId": CONTRACT_ID,
}

_CONTRACT: Final[dict[str, Any]] = {
    "id": CONTRACT_ID,
    "startDate": "2024-01-15",
    "endDate": "2027-01-14",
    "rateName": "Premium 12",
    "contractStatus": "ACTIVE",
    "cancelationPeriod": {"periodValue": 4, "periodUnit": "WEEK"},
    "cancelationStatus": "PENDING_VERIFICATION",
    "cancelationDate": "2026-12-31",
    "cancelationReason": "Moving to another city",
    "priceDetails": {
        "basePrice": {"amount": 39.9, "currency": "EUR"},
        "currentPrice": {"amount": 34.95, "currency": "EUR"},
        "paymentFrequency": {
            "id": 203,
            "type": "MONTH_DAY",
            "term": {"value": 1, "unit": "MONTH"},
            "price": {"amount": 34.95, "currency": "EUR"},
            "monthDaysToPrices": [
                {
                    "monthDay": {"month": "FEBRUARY", "monthValue": 2, "dayOfMonth": 28},
                    "price": {"amount": 209.7, "currency": "EUR"},
                },
                {
                    "monthDay": {"month": "AUGUST", "monthValue": 8, "dayOfMonth": 31},
                    "price": {"amount": 209.7, "currency": "EUR"},
                },
            ],
            "termsToPrices": [
                {"term": {"value": 1, "unit": "YEAR"}, "price": {"amount": 39.9, "currency": "EUR"}},
                {"term": {"value": 2, "unit": "YEAR"}, "price": {"amount": 44.9, "currency": "EUR"}},
            ],
        },
    },
    "lastPossibleCancelationDate": "2026-12-03",
    "availableCancelationDates": ["2026-10-31", "2026-11-30", "2026-12-31"],
    "cancelationOrigin": "CUSTOMER",
    "rateCodes": [
        {"name": "Standard rate", "identifier": "RC12345"},
        {"name": "Members bring members", "identifier": "RC20026"},
    ],
    "price": 39.9,
}
"""All documented fields, 1.2 kB."""


def contracts(count: int) -> bytes:
    """Return the answer to a request for a customer with `count` contracts."""
    return json.dumps([_CONTRACT | {"id": CONTRACT_ID + n} for n in range(count)], separators=(",", ":")).encode()
