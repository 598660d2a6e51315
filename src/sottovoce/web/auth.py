"""Authentication: looks up the API key of a request, checks what it may open, and records the deletions of jobs."""

from collections.abc import Iterable
from dataclasses import replace

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from sottovoce.errors import Kind, Refused
from sottovoce.service.identity import audit_log
from sottovoce.service.identity.api_key_cache import ApiKeyCache, ControlAway
from sottovoce.service.identity.api_keys import Caller, Product
from sottovoce.service.storage.database import Database
from sottovoce.web.routing import ROUTE, Handler, Route

MAX_SECRET = 4096
"""Characters; a longer key is refused without a look-up."""
CALLER = "sottovoce.caller"
"""The member of the ASGI scope that holds the authenticated caller, for the log."""

PORTAL_HEADER = "sottovoce-portal"
"""Pages of the portal send it with each request that changes something: a page of another origin cannot (see `_portal`)."""
IN_QUERY = ("jwt", "auth_token", "api_key")
"""Query parameters with a key, from browsers for realtime (`realtime.md` §1.2); the last two are unofficial (`clients.md` §13)."""
MANAGED = ("/v1/api-keys", "/v1/api_keys", "/v1/projects")
"""Where the paths begin that the portal's cookie for keys and projects opens."""
EXPIRED_IS_FORBIDDEN = frozenset({("POST", "/v2/jobs")})
"""Routes that answer an expired key with 403 instead of 401 (contract `batch-v2.md` §3.3)."""


async def authenticate(
    connection: HTTPConnection, api_key_cache: ApiKeyCache, product: Product = Product.BATCH, *, in_query: bool = False
) -> Caller:
    """The caller of *connection*; with *in_query* the key may also be a query parameter, as browsers need for WebSockets.

    Raises `Refused`: `UNAUTHENTICATED` without a valid key, `FORBIDDEN` with a key that does not open *product* here.
    """
    caller = await identify(connection, api_key_cache, in_query=in_query)
    check_product(caller, api_key_cache.region, product)
    return caller


async def identify(connection: HTTPConnection, api_key_cache: ApiKeyCache, *, in_query: bool = False) -> Caller:
    """The caller of *connection*, without a check of the product. Raises `Refused`, also when the workspace is served elsewhere."""
    sent = _bearer(connection) or (_in_query(connection) if in_query else "")
    secret = sent or _portal(connection, api_key_cache.region)
    if not secret or len(secret) > MAX_SECRET:
        raise Refused(Kind.UNAUTHENTICATED, "send the API key as `Authorization: Bearer <key>`")
    try:
        caller = await api_key_cache.caller(secret)
        expired = caller is None and await api_key_cache.is_expired(secret)
    except ControlAway as away:
        raise Refused(Kind.UNAVAILABLE, "keys cannot be checked at the moment; try again") from away
    if expired and (connection.scope.get("method"), connection.scope.get(ROUTE)) in EXPIRED_IS_FORBIDDEN:
        raise Refused(Kind.FORBIDDEN, "Entitlement check failed")
    if caller is None:
        raise Refused(Kind.UNAUTHENTICATED, "this temporary key has expired" if expired else "this API key is unknown")
    if sent and caller.product is Product.MANAGE:
        raise Refused(Kind.UNAUTHENTICATED, "this key is valid only in the cookie of the portal")
    connection.scope[CALLER] = caller
    check_region(caller, api_key_cache.region)
    return caller


def check_region(caller: Caller, region: str | None) -> None:
    """Raise `Refused(FORBIDDEN)` when the caller's workspace is bound to other regions (contract §1, Inferred)."""
    if caller.regions is not None and region is not None and region not in caller.regions:
        raise Refused(
            Kind.FORBIDDEN, f"this workspace is not served in region {region}, only in {', '.join(caller.regions)}"
        )


def check_product(caller: Caller, region: str | None, product: Product) -> None:
    """Raise `Refused(FORBIDDEN)` for a temporary key of another product, or one for batch that another region issued.

    A job belongs to the region whose address was called, and so does the temporary key for it; a temporary key for realtime is
    valid in every region (contract `realtime.md` §1.3).
    """
    if caller.product is None:
        return
    if caller.product is not product:
        raise Refused(Kind.FORBIDDEN, f"this temporary key is of type {caller.product}")
    if product is Product.BATCH and region is not None and caller.region != region:
        raise Refused(Kind.FORBIDDEN, "this temporary key was issued by another region")


def _bearer(connection: HTTPConnection) -> str:
    scheme, _, secret = connection.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def _in_query(connection: HTTPConnection) -> str:
    return next((secret for name in IN_QUERY if (secret := connection.query_params.get(name, ""))), "")


def cookie(region: str | None) -> str:
    """The name of the cookie with the temporary key of the portal in *region*: cookies do not distinguish ports."""
    return f"sottovoce_portal_{region}"


def live_cookie(region: str | None) -> str:
    """The name of the cookie with the temporary key for realtime, from which `web/portal/live_key.py` issues others."""
    return f"{cookie(region)}_live"


def manage_cookie(region: str | None) -> str:
    """The name of the cookie with the temporary key for keys and projects."""
    return f"{cookie(region)}_manage"


def _portal(connection: HTTPConnection, region: str | None) -> str:
    """The temporary key in the portal's cookie for the jobs API, or in that for keys and projects.

    Browsers attach a cookie to requests of other pages, too. Those pages cannot read an answer, since the CORS headers allow no
    credentials for `*`; and they cannot add `PORTAL_HEADER`, which the CORS headers do not list, so they can change nothing.
    Keys and projects want the header for reading, too.
    """
    if connection.scope["type"] != "http":
        return ""
    if connection.scope["path"].startswith(MANAGED):
        return connection.cookies.get(manage_cookie(region), "") if PORTAL_HEADER in connection.headers else ""
    if not connection.scope["path"].startswith("/v2/"):
        return ""
    reads = connection.scope["method"] in {"GET", "HEAD"}
    return connection.cookies.get(cookie(region), "") if reads or PORTAL_HEADER in connection.headers else ""


def audited(addresses: Iterable[Route], control: Database) -> list[Route]:
    """The job routes *addresses*, with every successful DELETE recorded in the audit log."""
    return [
        replace(route, handlers={**route.handlers, "DELETE": _audited(route.handlers["DELETE"], control)})
        if "DELETE" in route.handlers
        else route
        for route in addresses
    ]


def _audited(handler: Handler, control: Database) -> Handler:
    async def answer(request: Request) -> Response:
        response = await handler(request)
        caller = request.scope.get(CALLER)
        if isinstance(caller, Caller) and response.status_code < 300:  # noqa: PLR2004 - a success
            entry = audit_log.Entry(
                actor=caller.actor,
                action="job deleted by its owner",
                target=request.path_params["job_id"],
                workspace_id=caller.workspace_id,
            )
            await audit_log.note(control, entry)
        return response

    return answer
