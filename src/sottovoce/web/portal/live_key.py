"""Keys for the page of live captions, which puts one into the address of its WebSocket, as every browser's client must.

Such a key is valid for a minute. It comes from the temporary key for realtime that the browser got in a cookie at the sign-in, so a
person who signed in with a temporary key for jobs gets none.
"""

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sottovoce.errors import Kind, Refused
from sottovoce.service.identity.api_key_cache import ControlAway
from sottovoce.service.identity.api_keys import Product
from sottovoce.service.identity.temporary_keys import MIN_TTL, TokenIssuer
from sottovoce.service.runtime import Runtime
from sottovoce.web import auth, responses
from sottovoce.web.api import account
from sottovoce.web.portal.sign_in import issue
from sottovoce.web.routing import Route


class LiveKey:
    """The route that issues the keys, over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._control = runtime.control
        self._cache = runtime.api_key_cache
        self._region = runtime.plan.folder.region
        self._issuer = TokenIssuer(runtime.control, runtime.encryptor, self._region)

    async def create(self, request: Request) -> Response:
        """`POST /portal/live-key`: a key for one realtime session."""
        secret = request.cookies.get(auth.live_cookie(self._region), "")
        try:
            caller = await self._cache.caller(secret) if 0 < len(secret) <= auth.MAX_SECRET else None
        except ControlAway as away:
            raise Refused(Kind.UNAVAILABLE, "keys cannot be checked at the moment; try again") from away
        if caller is None and not secret and await self._signed_in_for_jobs(request):
            raise Refused(
                Kind.FORBIDDEN, "you signed in with a temporary key, which is for jobs only; use a permanent key"
            )
        if caller is None:
            raise Refused(Kind.UNAUTHENTICATED, "sign in with an account or a permanent key to use live captions")
        auth.check_region(caller, self._region)
        auth.check_product(caller, self._region, Product.RT)
        token = await issue(self._issuer, caller, Product.RT, MIN_TTL)
        body = orjson.dumps({"key": token, "ttl": MIN_TTL})
        return Response(body, media_type=responses.JSON, headers={"cache-control": "no-store"})

    async def _signed_in_for_jobs(self, request: Request) -> bool:
        """True with the cookie for jobs alone, of a key: that of an account is renewed with both."""
        return (
            auth.cookie(self._region) in request.cookies and await account.session_user(request, self._control) is None
        )


def routes(runtime: Runtime, public_url: str | None) -> list[Route]:
    """The route of the keys."""
    handler = account.with_checks(LiveKey(runtime).create, account.host_of(public_url))
    return [Route(path="/portal/live-key", handlers={"POST": handler})]
