"""Which proxy a request goes through: the one a client was told of, or the one the environment names for its URL.

aiohttp's own reading of the environment (`trust_env`) is not used: it looks everything up again for each request, puts
the login that a .netrc has for the API's host beside our credential, and fails in each call if a setting is malformed.
"""

from urllib.request import getproxies, proxy_bypass

from yarl import URL

from sdk_core.arguments import http_url
from sdk_core.errors import ConfigurationError

__all__ = ["proxy_for"]


def proxy_for(url: URL, configured: str | None, *, trust_env: bool) -> URL | None:
    """Return the proxy for requests to `url`, with its user and password; None: there is none.

    Raises:
        ConfigurationError: the environment names one that can't be one; the error names the setting, not its value.
    """
    if configured is not None:
        return URL(configured)
    named = getproxies().get(url.scheme) if trust_env else None
    # NO_PROXY may name a host, or a host and a port.
    if named is None or proxy_bypass(url.host or "") or proxy_bypass(f"{url.host}:{url.port}"):
        return None
    try:
        return http_url(f"{url.scheme}_proxy in the environment", named)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
