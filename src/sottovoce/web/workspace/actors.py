"""Who asks for members, the audit log or the health of the server, and what that person or program may do there.

It is a managing key, the session of an account, or the portal's cookie of a person who signed in with a managing key.
"""

from dataclasses import dataclass

from starlette.requests import Request

from sottovoce.errors import Kind, Refused
from sottovoce.service.identity.api_key_cache import ControlAway
from sottovoce.service.identity.api_keys import Caller, Product
from sottovoce.service.identity.users import User
from sottovoce.service.identity.workspaces import Role
from sottovoce.service.runtime import Runtime
from sottovoce.web import auth
from sottovoce.web.api import account

OPERATORS = 1
"""The workspace of the operator: the one that the first start makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A person or program in a workspace. *name*: for the audit log. *user_id*: `None` for a key without a user."""

    name: str
    workspace_id: int
    user_id: int | None
    role: Role

    def must_be_admin(self) -> None:
        """Raise `Refused(FORBIDDEN)` for a member."""
        if self.role is not Role.ADMIN:
            raise Refused(Kind.FORBIDDEN, "only an admin of the workspace may do this; you are a member")

    def must_be_operator(self) -> None:
        """Raise `Refused(FORBIDDEN)` for all but the admins of the operator's workspace."""
        if self.role is not Role.ADMIN or self.workspace_id != OPERATORS:
            raise Refused(Kind.FORBIDDEN, f"only an admin of the operator's workspace, {OPERATORS}, may do this")


class Actors:
    """Finds the actor of a request, over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._control = runtime.control
        self._cache = runtime.api_key_cache
        self._region = runtime.plan.folder.region

    async def of(self, request: Request) -> Actor:
        """The actor of *request*. Raises `Refused`: `UNAUTHENTICATED` without one, `FORBIDDEN` for a key that does not manage."""
        if "authorization" in request.headers:
            return _of_key(await auth.identify(request, self._cache))
        caller = await self._by_cookie(request)
        if caller is not None and caller.manages:
            return _of_key(caller)
        if (user := await account.session_user(request, self._control)) is not None:
            return _of_user(user)
        if caller is not None:
            return _of_key(caller)
        raise Refused(Kind.UNAUTHENTICATED, "log in, or send a managing key as `Authorization: Bearer <key>`")

    async def admin(self, request: Request) -> Actor:
        """The actor of *request*, who must be an admin. Raises `Refused`."""
        found = await self.of(request)
        found.must_be_admin()
        return found

    async def operator(self, request: Request) -> Actor:
        """The actor of *request*, who must be an admin of the operator's workspace. Raises `Refused`."""
        found = await self.of(request)
        found.must_be_operator()
        return found

    async def _by_cookie(self, request: Request) -> Caller | None:
        """The caller of the portal's cookie, in a request of a page of the portal (see `auth.PORTAL_HEADER`)."""
        secret = request.cookies.get(auth.manage_cookie(self._region), "")
        if not 0 < len(secret) <= auth.MAX_SECRET or auth.PORTAL_HEADER not in request.headers:
            return None
        try:
            caller = await self._cache.caller(secret)
        except ControlAway as away:
            raise Refused(Kind.UNAVAILABLE, "keys cannot be checked at the moment; try again") from away
        if caller is None or caller.product is not Product.MANAGE:
            return None
        auth.check_region(caller, self._region)
        return caller


def _of_key(caller: Caller) -> Actor:
    if caller.product is not None and caller.product is not Product.MANAGE:
        raise Refused(Kind.FORBIDDEN, "a temporary key cannot do this; use a managing key")
    if not caller.manages:
        raise Refused(Kind.FORBIDDEN, "this is not a managing key; `sottovoce keys create --manages` creates one")
    return Actor(name=caller.actor, workspace_id=caller.workspace_id, user_id=caller.user_id, role=Role.ADMIN)


def _of_user(user: User) -> Actor:
    return Actor(name=user.actor, workspace_id=user.workspace_id, user_id=user.id, role=user.role)
