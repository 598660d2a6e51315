"""Members of a workspace and its audit log over HTTP (docs/accounts.md): the session of an account, or a managing key.

In order: members, invitations, the audit log, helpers, the route table.
"""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sottovoce.errors import Kind, Refused
from sottovoce.service.identity import audit_log, invitations, members, users
from sottovoce.service.identity.invitations import Invitation, InvitationService
from sottovoce.service.identity.members import Change
from sottovoce.service.identity.registration import AccountService
from sottovoce.service.identity.users import User
from sottovoce.service.identity.workspaces import Role
from sottovoce.service.runtime import Runtime
from sottovoce.service.storage.database import Connection
from sottovoce.web import link_page, request_body, responses
from sottovoce.web.api import account
from sottovoce.web.routing import Handler, Route
from sottovoce.web.workspace.actors import Actor, Actors
from sottovoce.wire import accounts
from sottovoce.wire import members as wire
from sottovoce.wire.v2 import query

PAGE = 50
"""Entries of the audit log in an answer, by default."""
LONGEST_PAGE = 1000


class Members:
    """The routes over one runtime."""

    def __init__(self, runtime: Runtime, service: AccountService) -> None:
        self._control = runtime.control
        self._actors = Actors(runtime)
        self._invitations = InvitationService(runtime.control, service)

    # ── members ──

    async def list_members(self, request: Request) -> Response:
        """`GET /account/members`: the users of the workspace and, for an admin, the open invitations."""
        actor = await self._actors.of(request)

        def found(connection: Connection) -> tuple[list[User], list[Invitation]]:
            theirs = users.listed(connection, actor.workspace_id)
            return theirs, invitations.listed(connection, actor.workspace_id) if actor.role is Role.ADMIN else []

        theirs, invited = await self._control.read(found)
        body = {
            "user_id": actor.user_id,
            "role": actor.role,
            "members": [_member(user) for user in theirs],
            "invitations": [_invitation(each) for each in invited],
        }
        return _json(body)

    async def invite(self, request: Request) -> Response:
        """`POST /account/members`: invite a person, by mail or with a token that the admin hands over."""
        actor = await self._actors.admin(request)
        wanted = accounts.parsed(wire.NewMember, await _body(request))
        made = await self._invitations.invite(actor.workspace_id, wanted.email, Role(wanted.role), actor.name)
        return _json(wire.new_invitation_object(_invitation(made.invitation), made.secret), 201)

    async def change_member(self, request: Request) -> Response:
        """`PATCH /account/members/{user_id}`: another role, disable, or enable again."""
        actor = await self._actors.admin(request)
        user_id = _number(request, "user_id")
        wanted = accounts.parsed(wire.MemberChange, await _body(request))
        if wanted.role is None and wanted.disabled is None:
            raise Refused(Kind.BAD_REQUEST, "the body has neither role nor disabled, so nothing would change")
        role = None if wanted.role is None else Role(wanted.role)
        return _json(_member(await self._change(actor, user_id, Change(role=role, disabled=wanted.disabled))))

    async def disable_member(self, request: Request) -> Response:
        """`DELETE /account/members/{user_id}`: end the access of the user, whose jobs stay."""
        actor = await self._actors.admin(request)
        await self._change(actor, _number(request, "user_id"), Change(disabled=True))
        return _no_content()

    async def _change(self, actor: Actor, user_id: int, wanted: Change) -> User:
        def changed(connection: Connection) -> tuple[User, list[audit_log.Entry]]:
            user = members.change(connection, actor.workspace_id, user_id, wanted)
            made = []
            if wanted.role is not None:
                made.append(_entry(actor, "role changed", str(user_id), role=wanted.role.value))
            if wanted.disabled is not None:
                made.append(_entry(actor, f"member {'disabled' if wanted.disabled else 'enabled'}", str(user_id)))
            for entry in made:
                audit_log.record(connection, entry)
            return user, made

        user, made = await self._control.write(changed)
        for entry in made:
            audit_log.tell(entry)
        return user

    # ── invitations ──

    async def withdraw(self, request: Request) -> Response:
        """`DELETE /account/invitations/{invitation_id}`."""
        actor = await self._actors.admin(request)
        invitation_id = _number(request, "invitation_id")
        entry = _entry(actor, "invitation withdrawn", str(invitation_id))

        def withdrawn(connection: Connection) -> None:
            invitations.withdraw(connection, actor.workspace_id, invitation_id)
            audit_log.record(connection, entry)

        await self._control.write(withdrawn)
        audit_log.tell(entry)
        return _no_content()

    async def join_page(self, _request: Request) -> Response:
        """`GET` of the link of an invitation: changes nothing, since mail scanners follow links, too."""
        return link_page.page(link_page.JOIN)

    async def join(self, request: Request) -> Response:
        """`POST /account/join`: accept an invitation, and log in."""
        wanted = accounts.parsed(accounts.Confirmation, await _body(request))
        return account.logged_in(request, await self._invitations.join(wanted.token, wanted.password))

    # ── the audit log ──

    async def list_audit(self, request: Request) -> Response:
        """`GET /account/audit`: the entries of the workspace, newest first."""
        actor = await self._actors.admin(request)
        limit = query.integer(request.query_params, "limit")
        before = query.integer(request.query_params, "before")
        if limit is not None and not 1 <= limit <= LONGEST_PAGE:
            raise Refused(Kind.INVALID_QUERY, f"limit in query should be between 1 and {LONGEST_PAGE}")
        if before is not None and not 1 <= before < 1 << 63:
            raise Refused(Kind.INVALID_QUERY, "before in query should be the next of an earlier answer")
        size = limit or PAGE
        found = await self._control.read(
            lambda connection: audit_log.latest(connection, size + 1, workspace_id=actor.workspace_id, before=before)
        )
        more = len(found) > size
        shown = found[:size]
        return _json({"entries": [_audit_entry(each) for each in shown], "next": shown[-1].seq if more else None})


# ── helpers ──


def _member(user: User) -> dict[str, Any]:
    return wire.member_object(
        user_id=user.id, email=user.email, role=user.role, state=user.state, created_at=user.created_at
    )


def _invitation(each: Invitation) -> dict[str, Any]:
    return wire.invitation_object(
        invitation_id=each.id,
        email=each.email,
        role=each.role,
        created_at=each.created_at,
        expires_at=each.expires_at,
    )


def _audit_entry(found: audit_log.Recorded) -> dict[str, Any]:
    entry = found.entry
    return wire.entry_object(
        entry_id=found.seq,
        at=found.at,
        actor=entry.actor,
        action=entry.action,
        target=entry.target,
        details=entry.details,
    )


def _entry(actor: Actor, action: str, target: str, **details: str | int | bool) -> audit_log.Entry:
    return audit_log.Entry(
        actor=actor.name, action=action, target=target, workspace_id=actor.workspace_id, details=details
    )


def _number(request: Request, name: str) -> int:
    """The id in the path; 0, which no row has, for anything but a number."""
    text = request.path_params[name]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0  # noqa: PLR2004 - digits of the column


async def _body(request: Request) -> bytes:
    return await request_body.read_small(request, accounts.MAX_BODY)


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type=responses.JSON, headers={"cache-control": "no-store"})


def _no_content() -> Response:
    return Response(status_code=204, headers={"cache-control": "no-store"})


def routes(runtime: Runtime, service: AccountService) -> list[Route]:
    """The routes of members, invitations and the audit log."""
    found = Members(runtime, service)
    host = account.host_of(service.policy.public_url)
    table: dict[str, dict[str, Handler]] = {
        "/members": {"GET": found.list_members, "POST": found.invite},
        "/members/{user_id}": {"PATCH": found.change_member, "DELETE": found.disable_member},
        "/invitations/{invitation_id}": {"DELETE": found.withdraw},
        "/join": {"GET": found.join_page, "POST": found.join},
        "/audit": {"GET": found.list_audit},
    }
    return [
        Route(
            path=f"/account{path}",
            handlers={method: account.with_checks(each, host) for method, each in handlers.items()},
        )
        for path, handlers in table.items()
    ]
