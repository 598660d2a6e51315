"""Accounts over HTTP: registration, log-in, and the API keys of the logged-in user (docs/accounts.md).

A session is a cookie, which browsers attach to requests of any page. Therefore requests that change something must be JSON,
which a form cannot send, and must not come from a page of another origin.

In order: the session of a request, the routes (without and with a log-in), checks of requests, responses, the route table.
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
from sottovoce.service.identity.api_keys import Caller, Product
from sottovoce.service.identity.login_throttle import Throttled
from sottovoce.service.identity.registration import AccountPolicy, AccountService, Login
from sottovoce.service.identity.users import User
from sottovoce.service.identity.workspaces import Role
from sottovoce.service.runtime import Runtime
from sottovoce.service.storage.database import Connection, Database
from sottovoce.web import link_page, request_body, responses
from sottovoce.web.routing import Handler, Route
from sottovoce.wire import accounts as wire
from sottovoce.wire.management import key_object, management_error, new_key_object

COOKIE = "sottovoce_session"
_KEY_ID = re.compile(r"[0-9a-f]{16}")
_log = logging.getLogger(__name__)


async def session_user(connection: HTTPConnection, control: Database) -> User | None:
    """The user whose session cookie *connection* has; `None` without a valid session."""
    secret = _secret(connection)
    return await control.read(lambda reading: _user_for(reading, secret)) if secret else None


async def manages(connection: HTTPConnection, caller: Caller, control: Database) -> bool:
    """True if *caller* manages keys and projects: by its key, or in the portal by the session of an admin.

    The portal acts for an account through a key of the user that does not manage (`web/portal/sign_in.py`).
    """
    if caller.manages or caller.product is not Product.MANAGE:
        return caller.manages
    user = await session_user(connection, control)
    return user is not None and user.id == caller.user_id and user.role is Role.ADMIN


def _secret(connection: HTTPConnection) -> str:
    secret = connection.cookies.get(COOKIE, "")
    return secret if len(secret) == sessions.SECRET_LENGTH else ""


def _user_for(connection: Connection, secret: str) -> User | None:
    user_id = sessions.user_for(connection, secret)
    return None if user_id is None else users.get(connection, user_id)


class Account:
    """The account routes over one runtime."""

    def __init__(self, control: Database, accounts: AccountService) -> None:
        self._control = control
        self._accounts = accounts

    # ── without a log-in ──

    async def register(self, request: Request) -> Response:
        """`POST /account/register`: with a mail server, the same response for new and registered addresses; the mail differs."""
        wanted = wire.parsed(wire.Credentials, await _body(request))
        await self._accounts.register(wanted.email, wanted.password, _client(request))
        return _json({"mail": self._accounts.mails}, 202)

    async def verify(self, request: Request) -> Response:
        """`POST /account/verify`: activate the account and log in."""
        wanted = wire.parsed(wire.Confirmation, await _body(request))
        return logged_in(request, await self._accounts.verify(wanted.token, wanted.password, _client(request)))

    async def log_in(self, request: Request) -> Response:
        """`POST /account/login`: start a session and set its cookie."""
        wanted = wire.parsed(wire.Credentials, await _body(request))
        return logged_in(request, await self._accounts.log_in(wanted.email, wanted.password, _client(request)))

    async def log_out(self, request: Request) -> Response:
        """`POST /account/logout`: end the session; succeeds without one, too."""
        if secret := _secret(request):
            await self._accounts.log_out(secret)
        response = _no_content()
        response.delete_cookie(COOKIE, secure=is_secure(request), httponly=True, samesite="lax")
        return response

    async def forgot(self, request: Request) -> Response:
        """`POST /account/forgot`: mail a link for a new password, if the address has an account."""
        wanted = wire.parsed(wire.Forgotten, await _body(request))
        email = await self._accounts.forgot(wanted.email, _client(request))
        response = _json({"mail": True}, 202)
        response.background = BackgroundTask(self._accounts.send_link, email)
        return response

    async def reset(self, request: Request) -> Response:
        """`POST /account/reset`: set the new password."""
        wanted = wire.parsed(wire.Confirmation, await _body(request))
        await self._accounts.reset(wanted.token, wanted.password)
        return _no_content()

    async def verify_page(self, _request: Request) -> Response:
        """`GET` of the link that confirms an address: changes nothing, since mail scanners follow links, too."""
        return link_page.page(link_page.VERIFY)

    async def reset_page(self, _request: Request) -> Response:
        """`GET` of the link that sets a password: changes nothing."""
        return link_page.page(link_page.RESET)

    # ── with a log-in ──

    async def show(self, request: Request) -> Response:
        """`GET /account`: the user, the balance and the workspace."""
        user = await self._user(request)
        balance = await self._control.read(lambda connection: users.balance(connection, user))
        shown = wire.account_object(
            user_id=user.id,
            email=user.email,
            verified=user.verified_at is not None,
            balance=balance,
            workspace_id=user.workspace_id,
            role=user.role,
        )
        return _json(shown)

    async def change_password(self, request: Request) -> Response:
        """`POST /account/password`: set a new password and end every other session."""
        user = await self._user(request)
        wanted = wire.parsed(wire.PasswordChange, await _body(request))
        await self._accounts.change_password(user, _secret(request), wanted.old, wanted.new)
        return _no_content()

    async def list_tokens(self, request: Request) -> Response:
        """`GET /account/tokens`: the user's active API keys, without their values."""
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
        """`POST /account/tokens`: create an API key of the user in the default project; V1 calls it `auth_token`."""
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
        """`DELETE /account/tokens/{id}`: revoke the key and every temporary key that it issued."""
        user = await self._user(request)
        key_id = request.path_params["apikey_id"]
        entry = _entry(user, "key revoked", key_id)

        def revoke(connection: Connection) -> None:
            well_formed = _KEY_ID.fullmatch(key_id)  # checked first: some databases reject some characters
            if not well_formed or not api_keys.revoke_key(
                connection, key_id, workspace_id=user.workspace_id, user_id=user.id
            ):
                raise Refused(Kind.PAGE_NOT_FOUND, "no such key")
            audit_log.record(connection, entry)

        await self._control.write(revoke)
        audit_log.tell(entry)
        return _no_content()

    async def list_sessions(self, request: Request) -> Response:
        """`GET /account/sessions`: the user's valid sessions, newest first, without their secrets."""
        user = await self._user(request)
        current = sessions.public_id(api_keys.digest(_secret(request)))
        found = await self._control.read(lambda connection: sessions.listed(connection, user.id))
        return _json([
            wire.session_object(
                session_id=each.id,
                created_at=each.created_at,
                expires_at=each.expires_at,
                current=each.id == current,
            )
            for each in found
        ])  # fmt: skip

    async def delete_session(self, request: Request) -> Response:
        """`DELETE /account/sessions/{id}`: end the session."""
        user = await self._user(request)
        session_id = request.path_params["session_id"]
        entry = _entry(user, "session ended", session_id)

        def end(connection: Connection) -> None:
            if not sessions.end(connection, user.id, session_id):
                raise Refused(Kind.PAGE_NOT_FOUND, "no such session")
            audit_log.record(connection, entry)

        await self._control.write(end)
        audit_log.tell(entry)
        return _no_content()

    async def _user(self, request: Request) -> User:
        user = await session_user(request, self._control)
        if user is None:
            raise Refused(Kind.UNAUTHENTICATED, "log in first")
        return user


# ── checks of requests ──


def _client(request: Request) -> str:
    return request.client.host if request.client else ""


def is_secure(request: Request) -> bool:
    """True if the client used https."""
    return request.url.scheme == "https"


async def _body(request: Request) -> bytes:
    return await request_body.read_small(request, wire.MAX_BODY)


def _check_type(request: Request) -> None:
    """Raise `Refused(BAD_REQUEST)` for a body that a form could send, i.e. any type but JSON."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != responses.JSON:
        raise Refused(Kind.BAD_REQUEST, f"must be {responses.JSON}", at="Content-Type")


def host_of(public_url: str | None) -> str | None:
    """Host and port of the address of the server that its operator has set, in lower case."""
    return urlsplit(public_url).netloc.lower() if public_url else None


def _check_origin(request: Request, public_host: str | None) -> None:
    """Raise `Refused(FORBIDDEN)` for a request from a page of another origin. Programs send no `Origin`."""
    origin = request.headers.get("origin")
    if origin is None:
        return
    try:
        host = urlsplit(origin).netloc.lower()
    except ValueError:
        host = ""
    if not host or host not in {request.headers.get("host", "").lower(), public_host}:
        raise Refused(Kind.FORBIDDEN, "requests from a page of another origin are not allowed")


# ── responses ──


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type=responses.JSON, headers={"cache-control": "no-store"})


def _no_content() -> Response:
    return Response(status_code=204, headers={"cache-control": "no-store"})


def logged_in(request: Request, login: Login) -> Response:
    """The answer with the user of *login*, and the cookie of the session."""
    response = _json(wire.user_object(user_id=login.user.id, email=login.user.email))
    response.set_cookie(
        COOKIE,
        login.session,
        max_age=sessions.SECONDS,
        secure=is_secure(request),
        httponly=True,
        samesite="lax",
    )
    return response


def _entry(user: User, action: str, target: str, **details: str | int | bool) -> audit_log.Entry:
    return audit_log.Entry(
        actor=user.actor, action=action, target=target, workspace_id=user.workspace_id, details=details
    )


def with_checks(handler: Handler, public_host: str | None) -> Handler:
    """*handler* behind the checks of origin and content type, with `Refused` turned into a JSON response."""

    @wraps(handler)
    async def answer(request: Request) -> Response:
        try:
            if request.method not in {"GET", "HEAD"}:
                _check_origin(request, public_host)
            if request.method in {"POST", "PATCH"}:
                _check_type(request)
            return await handler(request)
        except Exception as error:
            if (refused := responses.translated(error)) is None:
                raise
            return _refusal(refused)

    return answer


def _refusal(refused: Refused) -> Response:
    _log.info("refused", extra={"kind": refused.kind, "why": refused.detail})
    status, body = management_error(refused)
    common = responses.refusal(refused).headers  # the headers that the status has in every API
    headers = {name: common[name] for name in ("retry-after", "www-authenticate") if name in common}
    if isinstance(refused, Throttled):
        headers["retry-after"] = str(refused.seconds)
    headers["cache-control"] = "no-store"
    return Response(orjson.dumps(body), status, headers=headers, media_type=responses.JSON)


def service(runtime: Runtime, policy: AccountPolicy) -> AccountService:
    """The accounts of *runtime*, which sends their mails if it has a mail server."""

    async def enqueue(mail: Mail) -> None:
        await runtime.database.write(lambda connection: runtime.outbox.enqueue_mail(connection, mail))

    mails = runtime.plan.task_settings.send.smtp is not None
    return AccountService(runtime.control, policy, enqueue if mails else None)


def routes(runtime: Runtime, accounts: AccountService) -> list[Route]:
    """The account routes."""
    account = Account(runtime.control, accounts)
    host = host_of(accounts.policy.public_url)
    table: dict[str, dict[str, Handler]] = {
        "": {"GET": account.show},
        "/register": {"POST": account.register},
        "/verify": {"GET": account.verify_page, "POST": account.verify},
        "/login": {"POST": account.log_in},
        "/logout": {"POST": account.log_out},
        "/password": {"POST": account.change_password},
        "/forgot": {"POST": account.forgot},
        "/reset": {"GET": account.reset_page, "POST": account.reset},
        "/tokens": {"GET": account.list_tokens, "POST": account.create_token},
        "/tokens/{apikey_id}": {"DELETE": account.delete_token},
        "/sessions": {"GET": account.list_sessions},
        "/sessions/{session_id}": {"DELETE": account.delete_session},
    }
    return [
        Route(path=f"/account{path}", handlers={method: with_checks(each, host) for method, each in handlers.items()})
        for path, handlers in table.items()
    ]
