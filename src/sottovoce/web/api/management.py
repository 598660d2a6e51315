"""The management API: keys and projects of a workspace, under both spellings of its path (contract `batch-v2.md` §13).

In order: keys, projects, helpers of the routes, helpers without state, the route table.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import wraps
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sottovoce.errors import Kind, Refused
from sottovoce.service.identity import api_keys, audit_log, projects
from sottovoce.service.identity.api_keys import Caller, Product
from sottovoce.service.identity.projects import Project
from sottovoce.service.identity.temporary_keys import TokenIssuer, TokenRequest
from sottovoce.service.retention.project_cleanup import ProjectCleanup
from sottovoce.service.runtime import Runtime
from sottovoce.service.storage.database import Connection
from sottovoce.web import auth, responses
from sottovoce.web.api import account
from sottovoce.web.docs.operation import Operation
from sottovoce.web.docs.operations import MANAGEMENT
from sottovoce.web.request_body import read_small
from sottovoce.web.routing import Handler, Route
from sottovoce.wire import management as wire
from sottovoce.wire.v2 import query

SPELLINGS = ("/api-keys", "/api_keys")
"""Clients use both (§13.1)."""
_KEY_ID = re.compile(r"[0-9a-f]{16}")
_NUMBER = re.compile(r"[0-9]{1,18}")
_log = logging.getLogger(__name__)


class Management:
    """The management routes over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._control = runtime.control
        self._api_key_cache = runtime.api_key_cache
        self._region = runtime.plan.folder.region
        self._issuer = TokenIssuer(runtime.control, runtime.encryptor, self._region)
        self._cleanup = ProjectCleanup(runtime.control, runtime.database, runtime.deletion, runtime.metrics)

    # ── keys ──

    async def list_keys(self, request: Request) -> Response:
        """`GET /api-keys`: the active keys, without their values."""
        caller = await self._manager(request)
        project_id = query.integer(request.query_params, "project_id")
        shown = query.boolean(request.query_params, "manages")
        if project_id is not None:
            await self._project(caller, project_id)
        found = await self._control.read(
            lambda connection: api_keys.list_keys(
                connection, workspace_id=caller.workspace_id, project_id=project_id, working=True
            )
        )
        return _json([
            wire.key_object(
                key_id=key.id,
                name=key.name,
                created_at=key.created_at,
                client_ref=key.client_ref,
                manages=key.manages if shown else None,
            )
            for key in found
        ])  # fmt: skip

    async def create_key(self, request: Request) -> Response:
        """`POST /api-keys`: create a permanent key, or with `ttl` a temporary key, which any permanent key may request."""
        caller = await self._caller(request)
        wanted = wire.key_request(request.query_params, await read_small(request, wire.MAX_BODY))
        if wanted.type in wire.NOT_HERE:
            raise Refused(Kind.PRODUCT_NOT_AVAILABLE, f"this server does not offer {wanted.type}")
        if wanted.ttl is None:
            caller = await self._managing(request, caller)
        project = await self._project(caller, caller.project_id if wanted.project_id is None else wanted.project_id)
        if wanted.ttl is None:
            return await self._permanent(caller, wanted, project)
        return await self._temporary(caller, wanted, wanted.ttl, project)

    async def _permanent(self, caller: Caller, wanted: wire.KeyRequest, project: Project) -> Response:
        secret = api_keys.new_secret()

        def create(connection: Connection) -> audit_log.Entry:
            made = api_keys.create_key(
                connection,
                project_id=project.id,
                user_id=caller.user_id,
                name=wanted.name,
                secret=secret,
                client_ref=wanted.client_ref,
            )
            entry = _entry(caller, "key created", made.id, project=project.id)
            audit_log.record(connection, entry)
            return entry

        entry = await self._control.write(create)
        audit_log.tell(entry)
        return _json(wire.new_key_object(secret, entry.target), 201)

    async def _temporary(self, caller: Caller, wanted: wire.KeyRequest, ttl: int, project: Project) -> Response:
        product = Product(wanted.type)
        if (
            product is Product.BATCH
            and caller.client_ref is not None
            and wanted.client_ref not in {None, caller.client_ref}
        ):
            raise Refused(Kind.FORBIDDEN, "this API key is bound to another client_ref")
        token, claims = await self._issuer.make(
            TokenRequest(
                key_id=caller.key_id,
                project_id=project.id,
                product=product,
                ttl=ttl,
                client_ref=wanted.client_ref or caller.client_ref,
            )
        )
        # only a log line, no database row: web pages request a temporary key for each visit
        audit_log.tell(_entry(caller, "temporary key made", claims.id, type=str(product), ttl=ttl, project=project.id))
        return _json(wire.new_key_object(token, None), 201)

    async def delete_key(self, request: Request) -> Response:
        """`DELETE /api-keys/{id}`: revoke the key and every temporary key that it issued."""
        caller = await self._manager(request)
        key_id = request.path_params["apikey_id"]
        entry = _entry(caller, "key revoked", key_id)

        def revoke(connection: Connection) -> None:
            well_formed = _KEY_ID.fullmatch(key_id)  # checked first: some databases reject some characters
            if not well_formed or not api_keys.revoke_key(connection, key_id, workspace_id=caller.workspace_id):
                raise Refused(Kind.PAGE_NOT_FOUND, "no such key")
            audit_log.record(connection, entry)

        await self._control.write(revoke)
        audit_log.tell(entry)
        return _json({"status": "OK"})

    # ── projects ──

    async def list_projects(self, request: Request) -> Response:
        """`GET /projects`."""
        caller = await self._manager(request)
        found = await self._control.read(lambda connection: projects.listed(connection, caller.workspace_id))
        return _json([_project_object(project) for project in found])

    async def create_project(self, request: Request) -> Response:
        """`POST /projects`."""
        caller = await self._manager(request)
        name, description = wire.project_request(await read_small(request, wire.MAX_BODY))

        def create(connection: Connection) -> tuple[Project, audit_log.Entry]:
            made = projects.create(connection, caller.workspace_id, name, description)
            entry = _entry(caller, "project created", str(made.id))
            audit_log.record(connection, entry)
            return made, entry

        made, entry = await self._control.write(create)
        audit_log.tell(entry)
        return _json(_project_object(made), 201)

    async def get_project(self, request: Request) -> Response:
        """`GET /projects/{id}`: 400 for an id that is not a number (§13.2)."""
        caller = await self._manager(request)
        return _json(_project_object(await self._project(caller, _project_id(request, Kind.MALFORMED))))

    async def rename_project(self, request: Request) -> Response:
        """`PUT /projects/{id}`."""
        caller = await self._manager(request)
        project_id = _project_id(request)
        name, _ = wire.project_request(await read_small(request, wire.MAX_BODY))
        entry = _entry(caller, "project renamed", str(project_id))

        def rename(connection: Connection) -> Project:
            renamed = projects.rename(connection, caller.workspace_id, project_id, name)
            audit_log.record(connection, entry)
            return renamed

        renamed = await self._control.write(rename)
        audit_log.tell(entry)
        return _json(_project_object(renamed))

    async def delete_project(self, request: Request) -> Response:
        """`DELETE /projects/{id}`: revoke its keys and remove its jobs (§13.3)."""
        caller = await self._manager(request)
        project_id = _project_id(request)
        entry = _entry(caller, "project deleted", str(project_id))

        def delete(connection: Connection) -> None:
            projects.delete(connection, caller.workspace_id, project_id)
            audit_log.record(connection, entry)

        await self._control.write(delete)
        audit_log.tell(entry)
        await self._cleanup.project(project_id)
        return Response(status_code=204)

    # ── helpers of the routes ──

    async def _caller(self, request: Request) -> Caller:
        """The caller, with a permanent key or the cookie of the portal. Raises `Refused(FORBIDDEN)` for a temporary key."""
        caller = await auth.identify(request, self._api_key_cache)
        if caller.token_id is not None and caller.product is not Product.MANAGE:
            raise Refused(Kind.FORBIDDEN, "a temporary key cannot use the management API")
        return caller

    async def _manager(self, request: Request) -> Caller:
        return await self._managing(request, await self._caller(request))

    async def _managing(self, request: Request, caller: Caller) -> Caller:
        """*caller*, who manages. Raises `Refused(FORBIDDEN)` otherwise."""
        if not await account.manages(request, caller, self._control):
            raise Refused(Kind.FORBIDDEN, "this is not a managing key; `sottovoce keys create --manages` creates one")
        return replace(caller, manages=True)

    async def _project(self, caller: Caller, project_id: int) -> Project:
        """The project, if *caller* may create keys in it: its own, or with a managing key any project of its workspace."""
        if project_id != caller.project_id and not caller.manages:
            raise Refused(Kind.PAGE_NOT_FOUND, "no such project")
        return await self._control.read(lambda connection: projects.get(connection, caller.workspace_id, project_id))


def _entry(caller: Caller, action: str, target: str, **details: str | int | bool) -> audit_log.Entry:
    return audit_log.Entry(
        actor=caller.actor, action=action, target=target, workspace_id=caller.workspace_id, details=details
    )


def _project_id(request: Request, kind: Kind = Kind.PAGE_NOT_FOUND) -> int:
    text = request.path_params["project_id"]
    if not _NUMBER.fullmatch(text):
        raise Refused(kind, "project_id in path must be of type int64")
    return int(text)


def _project_object(project: Project) -> dict[str, Any]:
    return wire.project_object(
        project_id=project.id,
        name=project.name,
        description=project.description,
        is_default=project.is_default,
        created_at=project.created_at,
    )


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type=responses.JSON, headers={"cache-control": "no-store"})


def _with_errors(operation: Operation, handler: Handler) -> Handler:
    """*handler* of *operation*, with `Refused` turned into the error response of this API."""

    @wraps(handler)
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Exception as error:
            if (refused := responses.translated(error)) is None:
                raise
            return _refusal(operation, refused)

    return answer


def _refusal(operation: Operation, refused: Refused) -> Response:
    """The error response. Below `/api-keys` a missing key is 403: the contract and its clients have no 401 (§13.2, §13.3)."""
    _log.info("refused", extra={"kind": refused.kind, "why": refused.detail})
    if refused.kind is Kind.UNAUTHENTICATED and operation.stranger == 403:  # noqa: PLR2004
        refused = Refused(Kind.FORBIDDEN, refused.why)
    status, body = wire.management_error(refused)
    common = responses.refusal(refused).headers  # the headers that the status has in every API
    headers = {name: common[name] for name in ("retry-after", "www-authenticate") if name in common}
    return Response(orjson.dumps(body), status, headers=headers, media_type=responses.JSON)


def routes(runtime: Runtime) -> list[Route]:
    """The management routes, as `docs.operations.MANAGEMENT` describes them."""
    management = Management(runtime)
    handlers: Mapping[str, Handler] = {
        "list_api_keys": management.list_keys,
        "create_api_key": management.create_key,
        "delete_api_key": management.delete_key,
        "list_projects": management.list_projects,
        "create_project": management.create_project,
        "get_project": management.get_project,
        "rename_project": management.rename_project,
        "delete_project": management.delete_project,
    }
    found: dict[str, dict[str, Handler]] = {}
    for operation in MANAGEMENT:
        handler = _with_errors(operation, handlers[operation.id])
        for spelling in SPELLINGS:
            path = operation.path.replace(SPELLINGS[0], spelling)
            found.setdefault(path, {})[operation.method] = handler
    return [Route(path=f"/v1{path}", handlers=methods) for path, methods in found.items()]
