"""The portal's cookies: temporary keys that the browser sends, and that no script can read.

A person signs in with an API key, or with an account (`web/api/account.py`). Either way the browser gets a temporary key for
batch in a cookie, which `web/auth.py` accepts for the jobs API, one for keys and projects in a second, and one for realtime in a
third (`live_key.py`). So the portal uses the public API as any client does.

The page renews the cookie while the person works. The session of an account says how long; after a sign-in with an API key, the
temporary key itself does: it has the time of the sign-in, which each renewal keeps.
"""

import time
from collections.abc import Mapping

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sottovoce.errors import Kind, Refused
from sottovoce.service.identity import api_keys, audit_log, projects, sessions
from sottovoce.service.identity.api_key_cache import ControlAway
from sottovoce.service.identity.api_keys import Caller, Product
from sottovoce.service.identity.temporary_keys import MIN_TTL, Claims, TokenIssuer, TokenRequest
from sottovoce.service.identity.users import User
from sottovoce.service.runtime import Runtime
from sottovoce.service.storage.database import Connection
from sottovoce.web import auth, request_body
from sottovoce.web.api import account
from sottovoce.web.routing import Route
from sottovoce.wire import accounts as wire

KEY_NAME = "portal"
"""The name of the API key through which the portal of an account acts. Its secret is discarded at once."""
OF_ACCOUNT = 3600
"""Seconds for which the cookie of an account is valid; the page renews it while the account's session lasts."""
OF_KEY = 86_400
"""Seconds without work for which a person who gave an API key stays signed in: the longest life of a temporary key."""
LONGEST = sessions.SECONDS
"""Seconds after which a person must give the API key again, however much that person works: as with an account."""


class SignIn:
    """The routes that set and remove the cookie, over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._control = runtime.control
        self._cache = runtime.api_key_cache
        self._region = runtime.plan.folder.region
        self._issuer = TokenIssuer(runtime.control, runtime.encryptor, self._region)
        self._names = {
            Product.BATCH: auth.cookie(self._region),
            Product.RT: auth.live_cookie(self._region),
            Product.MANAGE: auth.manage_cookie(self._region),
        }

    async def create(self, request: Request) -> Response:
        """`POST /portal/session`: sign in with `api_key`, else renew the present sign-in. Sets the cookies."""
        wanted = wire.parsed(wire.PortalSignIn, await request_body.read_small(request, wire.MAX_BODY))
        if wanted.api_key is not None:
            return await self._with_key(request, wanted.api_key.strip())
        user = await account.session_user(request, self._control)
        if user is None:
            return await self._renewed(request)
        project = wanted.project_id or await self._present_project(request, user)
        return await self._with_cookies(request, await self._key_of(user, project), OF_ACCOUNT)

    async def _with_key(self, request: Request, secret: str) -> Response:
        """Sign in with the API key *secret*. This ends the sign-in with an account: two in one browser would take turns."""
        caller = await self._caller(secret)
        if caller.product not in {None, Product.BATCH}:
            raise Refused(Kind.FORBIDDEN, f"this temporary key is of type {caller.product}; use a permanent key")
        if caller.token_id is not None:  # a temporary key makes no other key, so it serves as it is, for jobs only
            response = self._signed_in(request, {auth.cookie(self._region): secret}, OF_KEY)
        else:
            response = await self._with_cookies(request, caller, OF_KEY, since=int(time.time()))
        if account.COOKIE in request.cookies:
            response.delete_cookie(account.COOKIE, secure=account.is_secure(request), httponly=True, samesite="lax")
        return response

    async def _renewed(self, request: Request) -> Response:
        """New cookies for a person who gave an API key before. Raises `Refused` when the key was revoked, or after `LONGEST`."""
        jobs = auth.cookie(self._region)
        found, caller = await self._claims(request, jobs), await self._cookie_caller(request, jobs)
        if found is None or caller is None or found.since is None:
            raise Refused(Kind.UNAUTHENTICATED, "sign in first")
        left = int(found.since + LONGEST - time.time())
        if left < MIN_TTL:
            raise Refused(Kind.UNAUTHENTICATED, f"this sign-in has lasted {LONGEST // 86_400} days; sign in again")
        seconds, tokens = min(OF_KEY, left), dict[str, str]()
        for product, name in self._names.items():  # each from its own: the key for jobs must not give one that manages
            own = await self._claims(request, name)
            if own is not None and own.product is product and own.key_id == found.key_id and own.since == found.since:
                tokens[name] = await issue(self._issuer, caller, product, seconds, since=found.since)
        return self._signed_in(request, tokens, seconds)

    async def show(self, request: Request) -> Response:
        """`GET /portal/session`: the project of the cookie, and those that the account may choose; a key has its own only.

        `expires_in` and `lifetime` are those of the cookie, in seconds, so that the page renews it in time.
        """
        jobs = auth.cookie(self._region)
        claims, caller = await self._claims(request, jobs), await self._cookie_caller(request, jobs)
        if claims is None or caller is None:
            raise Refused(Kind.UNAUTHENTICATED, "sign in first")
        user = await account.session_user(request, self._control)
        whole = user is not None and user.workspace_id == caller.workspace_id
        found = await self._control.read(lambda connection: projects.listed(connection, caller.workspace_id))
        shown = [{"project_id": each.id, "name": each.name} for each in found if whole or each.id == caller.project_id]
        manager = await self._cookie_caller(request, auth.manage_cookie(self._region))
        body = {
            "project_id": caller.project_id,
            "projects": shown,
            "account": whole,
            "manages": None if manager is None else manager.manages,
            "renewable": whole or claims.since is not None,
            "expires_in": max(0, int(claims.expires - time.time())),
            "lifetime": claims.expires - claims.issued,
            "admin": manager is not None and await account.manages(request, manager, self._control),
        }
        return Response(orjson.dumps(body), media_type="application/json", headers={"cache-control": "no-store"})

    async def _claims(self, request: Request, name: str) -> Claims | None:
        """The claims of the temporary key in the cookie *name*; `None` without a valid one."""
        try:
            return await self._cache.claims(request.cookies.get(name, ""))
        except ControlAway as away:
            raise Refused(Kind.UNAVAILABLE, "keys cannot be checked at the moment; try again") from away

    async def _cookie_caller(self, request: Request, name: str) -> Caller | None:
        secret = request.cookies.get(name, "")
        try:
            return await self._cache.caller(secret) if 0 < len(secret) <= auth.MAX_SECRET else None
        except ControlAway as away:
            raise Refused(Kind.UNAVAILABLE, "keys cannot be checked at the moment; try again") from away

    async def _present_project(self, request: Request, user: User) -> int | None:
        """The project of the cookie, which a renewal keeps; `None` without one of the user's workspace."""
        caller = await self._cookie_caller(request, auth.cookie(self._region))
        return caller.project_id if caller is not None and caller.workspace_id == user.workspace_id else None

    async def delete(self, request: Request) -> Response:
        """`DELETE /portal/session`: remove the cookies."""
        response = Response(status_code=204, headers={"cache-control": "no-store"})
        secure = account.is_secure(request)
        for name in self._names.values():
            response.delete_cookie(name, secure=secure, httponly=True, samesite="lax")
        return response

    async def _caller(self, secret: str) -> Caller:
        found = None
        try:
            if 0 < len(secret) <= auth.MAX_SECRET:
                found = await self._cache.caller(secret)
        except ControlAway as away:
            raise Refused(Kind.UNAVAILABLE, "keys cannot be checked at the moment; try again") from away
        if found is None:
            raise Refused(Kind.UNAUTHENTICATED, "this API key is unknown or has expired")
        auth.check_region(found, self._region)
        return found

    async def _with_cookies(
        self, request: Request, caller: Caller, seconds: int, *, since: int | None = None
    ) -> Response:
        tokens = {
            name: await issue(self._issuer, caller, product, seconds, since=since)
            for product, name in self._names.items()
        }
        return self._signed_in(request, tokens, seconds)

    async def _key_of(self, user: User, wanted: int | None) -> Caller:
        """The caller of the portal's key of *user* in the project *wanted*, else in the default one; a missing key is made."""

        def project_of(connection: Connection) -> int:
            if wanted is None:
                return api_keys.default_project(connection, user.workspace_id)
            return projects.get(connection, user.workspace_id, wanted).id

        def find(connection: Connection) -> Caller | None:
            project = project_of(connection)
            mine = api_keys.list_keys(connection, project_id=project, user_id=user.id, working=True)
            found = next((key for key in mine if key.name == KEY_NAME), None)
            return api_keys.holder(connection, found.id, project) if found else None

        def create(connection: Connection) -> tuple[Caller | None, audit_log.Entry]:
            project = project_of(connection)
            secret = api_keys.new_secret()
            made = api_keys.create_key(connection, project_id=project, user_id=user.id, name=KEY_NAME, secret=secret)
            entry = audit_log.Entry(
                actor=user.actor,
                action="key created",
                target=made.id,
                workspace_id=user.workspace_id,
                details={"project": project},
            )
            audit_log.record(connection, entry)
            return api_keys.holder(connection, made.id, project), entry

        caller = await self._control.read(find)
        if caller is None:
            caller, entry = await self._control.write(create)
            audit_log.tell(entry)
        if caller is None:
            raise Refused(Kind.FORBIDDEN, "this account cannot use the project")
        auth.check_region(caller, self._region)
        return caller

    def _signed_in(self, request: Request, tokens: Mapping[str, str], seconds: int) -> Response:
        response = Response(status_code=204, headers={"cache-control": "no-store"})
        secure = account.is_secure(request)
        for name in set(self._names.values()) - tokens.keys():  # of a person who was signed in before
            response.delete_cookie(name, secure=secure, httponly=True, samesite="lax")
        for name, token in tokens.items():
            response.set_cookie(name, token, max_age=seconds, secure=secure, httponly=True, samesite="lax")
        return response


async def issue(issuer: TokenIssuer, caller: Caller, product: Product, ttl: int, *, since: int | None = None) -> str:
    """A temporary key for *product* that acts as *caller* for *ttl* seconds. *since*: that of `Claims`."""
    token, claims = await issuer.make(
        TokenRequest(
            key_id=caller.key_id,
            project_id=caller.project_id,
            product=product,
            ttl=ttl,
            client_ref=caller.client_ref,
            since=since,
        )
    )
    entry = audit_log.Entry(
        actor=caller.actor,
        action="temporary key made",
        target=claims.id,
        workspace_id=caller.workspace_id,
        details={"type": str(product), "ttl": ttl, "project": caller.project_id},
    )
    audit_log.tell(entry)
    return token


def routes(runtime: Runtime, public_url: str | None) -> list[Route]:
    """The route of the cookie."""
    sign_in = SignIn(runtime)
    host = account.host_of(public_url)
    handlers = {"GET": sign_in.show, "POST": sign_in.create, "DELETE": sign_in.delete}
    return [
        Route(
            path="/portal/session",
            handlers={method: account.with_checks(each, host) for method, each in handlers.items()},
        )
    ]
