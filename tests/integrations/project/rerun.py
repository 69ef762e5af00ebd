"""A plugin that does what pytest-rerunfailures does: a test that has failed is run once more, as the same item."""

from typing import Any

import pytest
from _pytest.runner import runtestprotocol


def pytest_runtest_protocol(item: Any, nextitem: pytest.Item | None) -> bool:
    reports = runtestprotocol(item, log=False, nextitem=nextitem)
    if any(report.failed for report in reports):
        item._initrequest()
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    return True
