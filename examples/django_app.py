"""A portal lists and suspends a customer's subscriptions, in Django: its views are synchronous, the SDK is not.

    pip install django anyio
    export CLOUDCOCKPIT_BASE_URL=https://api.cloudcockpit.com CLOUDCOCKPIT_TENANT=portal.example.com
    export CLOUDCOCKPIT_CLIENT_ID=... CLOUDCOCKPIT_CLIENT_SECRET=... CLOUDCOCKPIT_TOKEN_URL=...
    python django_app.py runserver

Who may see which customer's subscriptions is the app's own business, and left out here.
"""

import atexit
import logging
import os
import sys
from contextlib import ExitStack
from functools import cache, partial
from uuid import UUID

from anyio.from_thread import BlockingPortal, BlockingPortalProvider
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.deprecation import MiddlewareMixin
from django.views.decorators.http import require_GET, require_POST

from cloudcockpit_sdk import ClientCredentials, CloudCockpitClient, to_json, to_problem
from cloudcockpit_sdk.workflows import suspend_and_wait

logging.basicConfig(level=logging.INFO)
client = CloudCockpitClient(
    os.environ["CLOUDCOCKPIT_TENANT"],
    ClientCredentials(
        os.environ["CLOUDCOCKPIT_CLIENT_ID"],
        os.environ["CLOUDCOCKPIT_CLIENT_SECRET"],
        token_url=os.environ["CLOUDCOCKPIT_TOKEN_URL"],
    ),
    base_url=os.environ["CLOUDCOCKPIT_BASE_URL"],
    total_timeout=10,
)
provider = BlockingPortalProvider()


@cache
def portal() -> BlockingPortal:
    """Start this process's event loop, in a thread of its own: with the first request, as no thread survives a fork."""
    stack = ExitStack()
    atexit.register(stack.close)
    started = stack.enter_context(provider)
    stack.callback(started.call, client.aclose)
    return started


class ProblemMiddleware(MiddlewareMixin):
    """Answers with problem details where a call of the SDK fails."""

    def process_exception(self, _request: HttpRequest, error: Exception) -> HttpResponse:
        """Answer what a view has raised."""
        status, headers, body = to_problem(error)
        return HttpResponse(body, status=status, headers=headers)


@require_GET
def subscriptions(_request: HttpRequest, customer_id: UUID) -> HttpResponse:
    """Return the first page of a customer's subscriptions."""
    page = portal().call(partial(client.list_customer_subscriptions, customer_id=customer_id))
    return HttpResponse(to_json(page.items), content_type="application/json")


@require_POST
def suspend(_request: HttpRequest, customer_id: UUID, subscription_id: UUID) -> HttpResponse:
    """Suspend a subscription, and answer when it is; asked twice, it is suspended once."""
    asked = partial(suspend_and_wait, client, customer_id=customer_id, subscription_id=subscription_id, timeout=60)
    return HttpResponse(to_json(portal().call(asked).state), content_type="application/json")


urlpatterns = [
    path("customers/<uuid:customer_id>/subscriptions", subscriptions),
    path("customers/<uuid:customer_id>/subscriptions/<uuid:subscription_id>/suspension", suspend),
]
# A project has its own settings.py: what matters here is the middleware.
settings.configure(ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, MIDDLEWARE=[f"{__name__}.ProblemMiddleware"])
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
