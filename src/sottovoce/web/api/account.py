"""Accounts over HTTP: registering, logging in, and the API keys of who is logged in (docs/accounts.md).

A session is a cookie, which browsers send along whoever asks them to: what changes something is done only for JSON, which no form
sends, and never for a page of another origin.
"""

import logging
import re
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

import orjson
from starlette.background import BackgroundTask
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from sottovoce.errors import Kind, Refused
from sottovoce.service.email.smtp import Mail
from sottovoce.service.identity import api_keys, audit_log, sessions, users
from sottovoce.service.identity.login_throttle import Throttled
from sottovoce.service.identity.registration import AccountPolicy, AccountService, Login
from sottovoce.service.identity.users import User
from sottovoce.service.runtime import Runtime
from sottovoce.service.storage.database import DATABASE_AWAY, Connection, Database
from sottovoce.web import request_body, responses
from sottovoce.web.routing import Handler, Route
from sottovoce.wire import accounts as wire
from sottovoce.wire.management import key_object, management_error, new_key_object

COOKIE = "sottovoce_session"
_KEY_ID = re.compile(r"[0-9a-f]{16}")
_log = logging.getLogger(__name__)


async def session_user(connection: HTTPConnection, control: Database) -> User | None:
    """Who is logged in on *connection*, by its cookie."""
    secret = _secret(connection)
    return await control.read(lambda reading: _holder(reading, secret)) if secret else None


def _secret(connection: HTTPConnection) -> str:
    secret = connection.cookies.get(COOKIE, "")
    return secret if len(secret) == sessions.SECRET_LENGTH else ""


def _holder(connection: Connection, secret: str) -> User | None:
    user_id = sessions.user_for(connection, secret)
    return None if user_id is None else users.get(connection, user_id)


class Account:
    """The account routes over one runtime."""

    def __init__(self, control: Database, reception: AccountService) -> None:
        self._control = control
        self._reception = reception

    # ── for strangers ──

    async def register(self, request: Request) -> Response:
        """`POST /account/register`: the same answer whether or not the address is taken, where mails say the rest."""
        wanted = wire.parsed(wire.Credentials, await _body(request))
        await self._reception.register(wanted.email, wanted.password, _client(request))
        return _json({"mail": self._reception.mails}, 202)

    async def verify(self, request: Request) -> Response:
        """`POST /account/verify`: opens the account, and logs in."""
        wanted = wire.parsed(wire.Confirmation, await _body(request))
        return _logged_in(request, await self._reception.verify(wanted.token, wanted.password, _client(request)))

    async def log_in(self, request: Request) -> Response:
        """`POST /account/login`: a session, in a cookie."""
        wanted = wire.parsed(wire.Credentials, await _body(request))
        return _logged_in(request, await self._reception.log_in(wanted.email, wanted.password, _client(request)))

    async def log_out(self, request: Request) -> Response:
        """`POST /account/logout`: done for who is not logged in, too."""
        if secret := _secret(request):
            await self._reception.log_out(secret)
        response = _nothing()
        response.delete_cookie(COOKIE, secure=_is_secure(request), httponly=True, samesite="lax")
        return response

    async def forgot(self, request: Request) -> Response:
        """`POST /account/forgot`: a link for a new password, to whoever has an account."""
        wanted = wire.parsed(wire.Forgotten, await _body(request))
        email = await self._reception.forgot(wanted.email, _client(request))
        response = _json({"mail": True}, 202)
        response.background = BackgroundTask(self._reception.send_link, email)
        return response

    async def reset(self, request: Request) -> Response:
        """`POST /account/reset`: the new password."""
        wanted = wire.parsed(wire.Confirmation, await _body(request))
        await self._reception.reset(wanted.token, wanted.password)
        return _nothing()

    async def follow(self, request: Request) -> Response:
        """`GET` of a link in a mail: changes nothing, since programs that read mail follow links, too."""
        members = '{"token": "…", "password": "…"}'
        text = f"To go on, POST {members} as application/json to {request.url.path}, with the token of this address.\n"
        response = responses.text(text)
        response.headers.update({"cache-control": "no-store", "referrer-policy": "no-referrer"})
        return response

    # ── for who is logged in ──

    async def show(self, request: Request) -> Response:
        """`GET /account`."""
        user = await self._user(request)
        balance = await self._control.read(lambda connection: users.balance(connection, user))
        shown = wire.account_object(
            user_id=user.id,
            email=user.email,
            verified=user.verified_at is not None,
            balance=balance,
            workspace_id=user.workspace_id,
        )
        return _json(shown)

    async def change_password(self, request: Request) -> Response:
        """`POST /account/password`: ends every other session."""
        user = await self._user(request)
        wanted = wire.parsed(wire.PasswordChange, await _body(request))
        await self._reception.change_password(user, _secret(request), wanted.old, wanted.new)
        return _nothing()

    async def list_tokens(self, request: Request) -> Response:
        """`GET /account/tokens`: the user's API keys that work, without their values."""
        user = await self._user(request)
        found = await self._control.read(
            lambda connection: api_keys.list_keys(
                connection, workspace_id=user.workspace_id, user_id=user.id, working=True
            )
        )
        return _json([
            key_object(key_id=key.id, name=key.name, created_at=key.created_at, client_ref=key.client_ref)
            for key in found
        ])  # fmt: skip

    async def create_token(self, request: Request) -> Response:
        """`POST /account/tokens`: an API key of the user in the workspace's default project; V1 calls it `auth_token`."""
        user = await self._user(request)
        wanted = wire.parsed(wire.NewToken, await _body(request))
        secret = api_keys.new_secret()

        def create(connection: Connection) -> audit_log.Entry:
            project = api_keys.default_project(connection, user.workspace_id)
            made = api_keys.create_key(connection, project_id=project, user_id=user.id, name=wanted.name, secret=secret)
            entry = _entry(user, "key created", made.id, project=project)
            audit_log.record(connection, entry)
            return entry

        entry = await self._control.write(create)
        audit_log.tell(entry)
        return _json(new_key_object(secret, entry.target), 201)

    async def delete_token(self, request: Request) -> Response:
        """`DELETE /account/tokens/{id}`: the key, and every temporary key in its name, is worthless."""
        user = await self._user(request)
        key_id = request.path_params["apikey_id"]
        entry = _entry(user, "key revoked", key_id)

        def revoke(connection: Connection) -> None:
            known = _KEY_ID.fullmatch(key_id)  # not every database takes every character
            if not known or not api_keys.revoke_key(
                connection, key_id, workspace_id=user.workspace_id, user_id=user.id
            ):
                raise Refused(Kind.PAGE_NOT_FOUND, "no such key")
            audit_log.record(connection, entry)

        await self._control.write(revoke)
        audit_log.tell(entry)
        return _nothing()

    async def _user(self, request: Request) -> User:
        user = await session_user(request, self._control)
        if user is None:
            raise Refused(Kind.UNAUTHENTICATED, "log in first")
        return user


# ── requests ──


def _client(request: Request) -> str:
    return request.client.host if request.client else ""


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"


async def _body(request: Request) -> bytes:
    return await request_body.read_small(request, wire.MAX_BODY)


def _check_type(request: Request) -> None:
    """Refuse what a form could send. Raises `Refused`."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != responses.JSON:
        raise Refused(Kind.BAD_REQUEST, f"must be {responses.JSON}", at="Content-Type")


def _check_origin(request: Request, public_host: str | None) -> None:
    """Refuse what a page of another origin has a browser ask. Programs send no `Origin`. Raises `Refused(FORBIDDEN)`."""
    origin = request.headers.get("origin")
    if origin is None:
        return
    try:
        host = urlsplit(origin).netloc.lower()
    except ValueError:
        host = ""
    if not host or host not in {request.headers.get("host", "").lower(), public_host}:
        raise Refused(Kind.FORBIDDEN, "a page of another origin cannot do this")


# ── answers ──


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type=responses.JSON, headers={"cache-control": "no-store"})


def _nothing() -> Response:
    return Response(status_code=204, headers={"cache-control": "no-store"})


def _logged_in(request: Request, login: Login) -> Response:
    response = _json(wire.user_object(user_id=login.user.id, email=login.user.email))
    response.set_cookie(
        COOKIE,
        login.session,
        max_age=sessions.SECONDS,
        secure=_is_secure(request),
        httponly=True,
        samesite="lax",
    )
    return response


def _entry(user: User, action: str, target: str, **details: str | int | bool) -> audit_log.Entry:
    return audit_log.Entry(
        actor=user.actor, action=action, target=target, workspace_id=user.workspace_id, details=details
    )


def _told(handler: Handler, public_host: str | None) -> Handler:
    """*handler*, called for pages of ours and for programs alone, whose refusals are told as JSON."""

    @wraps(handler)
    async def answer(request: Request) -> Response:
        try:
            if request.method not in {"GET", "HEAD"}:
                _check_origin(request, public_host)
            if request.method == "POST":
                _check_type(request)
            return await handler(request)
        except Refused as refused:
            return _refusal(refused)
        except DATABASE_AWAY:
            return _refusal(Refused(Kind.UNAVAILABLE, "the database cannot be asked; try again"))

    return answer


def _refusal(refused: Refused) -> Response:
    _log.info("refused", extra={"kind": refused.kind, "why": refused.detail})
    status, body = management_error(refused)
    told = responses.refusal(refused)  # with the headers that its status has everywhere
    headers = {name: told.headers[name] for name in ("retry-after", "www-authenticate") if name in told.headers}
    if isinstance(refused, Throttled):
        headers["retry-after"] = str(refused.seconds)
    headers["cache-control"] = "no-store"
    return Response(orjson.dumps(body), status, headers=headers, media_type=responses.JSON)


def routes(runtime: Runtime, house: AccountPolicy) -> list[Route]:
    """The addresses of accounts."""

    async def post(mail: Mail) -> None:
        await runtime.database.write(lambda connection: runtime.outbox.enqueue_mail(connection, mail))

    mails = runtime.plan.task_settings.send.smtp is not None
    account = Account(runtime.control, AccountService(runtime.control, house, post if mails else None))
    host = urlsplit(house.public_url).netloc.lower() if house.public_url else None
    table: dict[str, dict[str, Handler]] = {
        "": {"GET": account.show},
        "/register": {"POST": account.register},
        "/verify": {"GET": account.follow, "POST": account.verify},
        "/login": {"POST": account.log_in},
        "/logout": {"POST": account.log_out},
        "/password": {"POST": account.change_password},
        "/forgot": {"POST": account.forgot},
        "/reset": {"GET": account.follow, "POST": account.reset},
        "/tokens": {"GET": account.list_tokens, "POST": account.create_token},
        "/tokens/{apikey_id}": {"DELETE": account.delete_token},
    }
    return [
        Route(path=f"/account{path}", handlers={method: _told(each, host) for method, each in handlers.items()})
        for path, handlers in table.items()
    ]
