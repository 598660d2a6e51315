"""Realtime sessions over WebSockets (contract `realtime.md` §1), and the side services of the vendor's container (§12)."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

import orjson
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sottovoce import __version__
from sottovoce.errors import Busy, Kind, Refused
from sottovoce.logs import about
from sottovoce.realtime.admission import Sessions
from sottovoce.realtime.conversation import Admitted, Conversation, Limits
from sottovoce.realtime.session import Parts, Session
from sottovoce.realtime.turns import AgentConversation
from sottovoce.request import LiveRequest
from sottovoce.service.billing import usage
from sottovoce.service.identity.api_keys import Caller, Product
from sottovoce.service.limits.live_sessions import Holder
from sottovoce.service.runtime import Runtime
from sottovoce.web.api.recognizers import Recognizers, recognizers
from sottovoce.web.api.voices import ProjectVoices
from sottovoce.web.auth import authenticate
from sottovoce.web.handshake import not_an_upgrade
from sottovoce.web.responses import JSON
from sottovoce.web.routing import Route, SocketRoute
from sottovoce.web.websocket import AsgiSocket
from sottovoce.wire.v2.usage import application

__all__ = ["Gateway", "Policy", "Recognizers", "recognizers", "routes", "sockets"]

_log = logging.getLogger(__name__)

PATHS = ("/", "/v2", "/v2/{language}", "/{language}")
"""§1.1: the addresses that clients use; `agent` in place of a language is the Agent protocol (`agent-stt.md`)."""
_AGENT = "agent"
_PREVIEW_PATHS = ("/v2/agent/{profile}", "/agent/{profile}")
"""The addresses of the Agent protocol's preview, which had other messages (`agent-stt.md` §8)."""
_MAX_REQUEST_ID = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The most *sessions* of this process and *channels* of a session; the time *limits* of a session."""

    sessions: int = 100
    channels: int = 2
    limits: Limits = field(default_factory=Limits)


class Gateway:
    """The realtime sessions of one server process."""

    def __init__(self, runtime: Runtime, recognizers: Recognizers, policy: Policy) -> None:
        self.sessions = Sessions(recognizers.load, policy.sessions)
        self._runtime = runtime
        self._recognizers = recognizers
        self._policy = policy

    def stop(self) -> None:
        """The server is shutting down: refuse new sessions, and end those that run."""
        self.sessions.stop()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket. Raises `Refused` before it is accepted: without a valid key, or without room (503)."""
        connection = HTTPConnection(scope)
        caller = await authenticate(connection, self._runtime.api_key_cache, Product.RT, in_query=True)
        with self.sessions.slot() as free:
            if not free:
                raise self._busy()
            await receive()  # websocket.connect
            await send({"type": "websocket.accept"})
            await self._run(connection, caller, AsgiSocket(scope, receive, send))

    def _busy(self) -> Busy:
        stopping = self.sessions.stopping
        self._runtime.metrics.realtime.refused("stopping" if stopping else "full")
        why = "the server is shutting down" if stopping else "the server has no room for another session at the moment"
        after = self.sessions.retry_after
        return Busy(f"{why}; try again in {after} s", after)

    async def _run(self, connection: HTTPConnection, caller: Caller, socket: AsgiSocket) -> None:
        runtime, session_id = self._runtime, str(uuid4())
        conversation = self._conversation(session_id, connection.path_params.get("language"))
        app = application(connection.query_params)
        session = Session(
            conversation,
            Parts(
                socket=socket,
                planner=self._recognizers.plan,
                opener=self._recognizers.open,
                ledger=_Ledger(runtime, self.sessions, session_id, caller, app),
                observer=runtime.metrics.realtime,
                voices=ProjectVoices(runtime, caller),
                max_channels=self._policy.channels,
            ),
        )
        request_id = connection.headers.get("x-request-id", "")[:_MAX_REQUEST_ID] or None
        begun = time.monotonic()
        with about(session=session_id), self.sessions.running(session, request_id):
            try:
                await session.run()
            finally:
                runtime.metrics.realtime.ended(session.outcome)
                seconds = {"seconds": round(time.monotonic() - begun, 1), "audio": round(session.audio, 1)}
                _log.info("realtime session ended", extra={"outcome": session.outcome, **seconds})

    def _conversation(self, session_id: str, named: str | None) -> Conversation:
        """The protocol of the address, in which *named* is a language or `agent`."""
        now, limits = time.monotonic(), self._policy.limits
        if named == _AGENT:
            return AgentConversation(session_id=session_id, version=__version__, opened_at=now, limits=limits)
        return Conversation(session_id=session_id, version=__version__, opened_at=now, limits=limits, language=named)


class _Ledger:
    """The rows of one session: its lease while it runs, and its usage afterwards (`realtime.ports.Ledger`)."""

    def __init__(self, runtime: Runtime, sessions: Sessions, session_id: str, caller: Caller, app: str | None) -> None:
        self._runtime, self._sessions = runtime, sessions
        self._id, self._caller, self._app = session_id, caller, app

    async def enter(self, request: LiveRequest) -> Admitted:
        """Count the session. Raises `Refused` if its key or project has as many as it may have."""
        del request
        caller = self._caller
        holder = Holder(workspace_id=caller.workspace_id, project_id=caller.project_id, key_id=caller.key_id)
        try:
            counted = await self._runtime.live_sessions.enter(self._id, holder)
        except Refused:
            self._runtime.metrics.realtime.refused("quota")
            raise
        quota = self._sessions.most if counted.quota is None else counted.quota
        return Admitted(usage=counted.usage, quota=quota, at=counted.at, region=self._runtime.plan.folder.region)

    async def leave(self, request: LiveRequest, audio: float | None) -> None:
        """Count it no longer, and record its usage if it had a recogniser."""
        if audio is None:
            await self._runtime.live_sessions.leave(self._id)
            return
        caller = self._caller
        record = usage.SessionUsage(
            session_id=self._id,
            workspace_id=caller.workspace_id,
            project_id=caller.project_id,
            language=request.language,
            operating_point=request.operating_point,
            duration_ms=round(audio * 1000),
            app=self._app,
        )
        await self._runtime.live_sessions.leave(self._id, partial(usage.record_session, session=record))


def sockets(gateway: Gateway) -> list[SocketRoute]:
    """The WebSocket addresses."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await gateway.serve(scope, receive, send)

    async def preview(_scope: Scope, _receive: Receive, _send: Send) -> None:
        why = "the profiles of the Agent API's preview are withdrawn: connect to /v2/agent"
        raise Refused(Kind.PAGE_NOT_FOUND, why)

    return [
        *(SocketRoute(path=path, serve=serve) for path in PATHS),
        *(SocketRoute(path=path, serve=preview) for path in _PREVIEW_PATHS),
    ]


def routes(gateway: Gateway, alive: Callable[[], bool]) -> list[Route]:
    """The side services (§12), and `/v2` without an upgrade; *alive*: the engine processes run."""

    def answer(name: str, *, holds: bool) -> Response:
        return Response(orjson.dumps({name: holds}), 200 if holds else 503, media_type=JSON)

    async def started(_request: Request) -> Response:
        return answer("started", holds=True)  # requests are accepted only when everything has started

    async def live(_request: Request) -> Response:
        return answer("alive", holds=alive())

    async def ready(_request: Request) -> Response:
        return answer("ready", holds=gateway.sessions.has_room())

    async def session_status(_request: Request) -> Response:
        active = [
            {"session_id": session_id} | ({"request_id": request_id} if request_id else {})
            for session_id, request_id in gateway.sessions.active()
        ]
        body = {"max_sessions": gateway.sessions.most, "active_sessions": active}
        return Response(orjson.dumps(body), media_type=JSON)

    async def plain(_request: Request) -> Response:
        raise not_an_upgrade()

    services = {"/started": started, "/live": live, "/ready": ready, "/session_status": session_status}
    services |= dict.fromkeys(("/v2", "/v2/agent", "/agent"), plain)
    return [Route(path=path, handlers={"GET": handler}) for path, handler in services.items()]
