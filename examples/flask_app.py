"""A studio's members see and cancel their contracts, in Flask: its views are synchronous, the SDK is not.

    pip install flask anyio
    export MEMBERSHIP_BASE_URL=https://acme.open-api.magicline.com MEMBERSHIP_API_KEY=...
    flask --app flask_app run

Who may see which member's contracts is the app's own business, and left out here.
"""

import atexit
import logging
import os
from contextlib import ExitStack
from functools import cache, partial

from anyio.from_thread import BlockingPortal, BlockingPortalProvider
from flask import Flask, Response, request

from membership_sdk import MembershipClient, SdkError, to_json, to_problem
from membership_sdk.workflows import cancel_contract

logging.basicConfig(level=logging.INFO)
client = MembershipClient(os.environ["MEMBERSHIP_BASE_URL"], os.environ["MEMBERSHIP_API_KEY"], total_timeout=10)
provider = BlockingPortalProvider()
app = Flask(__name__)


@cache
def portal() -> BlockingPortal:
    """Start this process's event loop, in a thread of its own: with the first request, as no thread survives a fork."""
    stack = ExitStack()
    atexit.register(stack.close)
    started = stack.enter_context(provider)
    stack.callback(started.call, client.aclose)
    return started


@app.errorhandler(SdkError)
@app.errorhandler(ValueError)
@app.errorhandler(TypeError)
def problem(error: Exception) -> Response:
    """Answer with problem details."""
    status, headers, body = to_problem(error)
    return Response(body, status, headers)


@app.get("/members/<int:customer_id>/contracts")
def contracts(customer_id: int) -> Response:
    """Return a member's contracts."""
    found = portal().call(partial(client.get_contract_data, customer_id=customer_id))
    return Response(to_json(found), mimetype="application/json")


@app.post("/members/<int:customer_id>/contracts/<int:contract_id>/cancelation")
def cancel(customer_id: int, contract_id: int) -> Response:
    """Cancel a contract at the earliest date; asked twice, it is canceled once."""
    asked = partial(
        cancel_contract,
        client,
        customer_id=customer_id,
        contract_id=contract_id,
        on="earliest",
        reason=request.args["reason"],
        timeout=20,
    )
    return Response(to_json(portal().call(asked).state), mimetype="application/json")
