"""Builds the ASGI application from the settings and a runtime. No globals: all objects are built here or in `service.runtime`."""

from typing import TypeVar

import uvicorn
from starlette.types import ASGIApp

from sottovoce.bootstrap import models_folder, region
from sottovoce.engines.models import sources
from sottovoce.engines.models.store import Listen, Model, ModelStore
from sottovoce.service import regions
from sottovoce.service.identity.registration import AccountPolicy
from sottovoce.service.runtime import Runtime
from sottovoce.settings import Settings
from sottovoce.web import auth, routing
from sottovoce.web.api import account, discovery, health, management, openai_audio, realtime, v1, v2
from sottovoce.web.connections import ConnectionLimits, RequestsPerClient, networks
from sottovoce.web.docs import openapi
from sottovoce.web.middleware import RequestMiddleware
from sottovoce.web.portal import assets, live_key, pages, sign_in
from sottovoce.web.server import limited
from sottovoce.web.uploads import Limits
from sottovoce.web.websocket import SocketProtocol
from sottovoce.web.workspace import health as operator_health
from sottovoce.web.workspace import members
from sottovoce.web.workspace.model_pulls import Bring
from sottovoce.wire.realtime.messages import MAX_MESSAGE

T = TypeVar("T")


def create_app(settings: Settings, runtime: Runtime, gateway: realtime.Gateway | None = None) -> ASGIApp:
    """The application over a started *runtime*, which the caller closes; *gateway*: its realtime sessions, if it has any."""
    sockets = realtime.sockets(gateway) if gateway else ()
    app: ASGIApp = routing.Router(routes(settings, runtime, gateway), sockets)
    if settings.trusted_proxies:
        app = RequestsPerClient(app, settings.max_connections_per_address, networks(settings.trusted_proxies))
    return RequestMiddleware(app, runtime.metrics)


def create_gateway(
    settings: Settings, runtime: Runtime, recognizers: realtime.Recognizers | None = None
) -> realtime.Gateway | None:
    """The realtime sessions of a started *runtime*; `None` if it has not that role. *recognizers*: by default the runtime's."""
    if "realtime" not in runtime.plan.roles:
        return None
    policy = realtime.Policy(sessions=settings.realtime_sessions, channels=settings.realtime_channels)
    return realtime.Gateway(
        runtime, recognizers or realtime.recognizers(runtime, smaller=settings.realtime_smaller_model), policy
    )


def has_portal(settings: Settings) -> bool:
    """True if this server has the pages for people: it accepts jobs of a region with batch."""
    return "api" in settings.roles and regions.Mode.BATCH in region(settings).modes


def routes(settings: Settings, runtime: Runtime, gateway: realtime.Gateway | None = None) -> list[routing.Route]:
    """Every route of the application, without WebSockets."""
    found = realtime.routes(gateway, runtime.pool.alive) if gateway else []
    if "api" in settings.roles:
        here = region(settings)
        limits = Limits(file=settings.max_upload_bytes, seconds=settings.upload_timeout)
        waiting = v2.WaitPolicy(default=settings.default_wait, cap=settings.max_wait)
        if regions.Mode.BATCH in here.modes:
            found += auth.audited(v2.routes(runtime, limits, waiting), runtime.control)
            found += v1.routes(runtime, limits)
            found += openai_audio.routes(runtime, limits, keep=settings.openai_keep_jobs)
        found += discovery.routes(runtime, here, settings.region_urls)
        found += management.routes(runtime)
        policy = AccountPolicy(
            registration=settings.registration == "open",
            public_url=settings.public_url,
            password_memory=settings.password_memory_kib,
        )
        accounts = account.service(runtime, policy)
        found += account.routes(runtime, accounts)
        found += members.routes(runtime, accounts)
        found += operator_health.routes(runtime, here, settings.region_urls, _bring(settings), settings.public_url)
        if has_portal(settings):
            found += [
                *pages.routes(runtime, here, registration=policy.registration),
                *sign_in.routes(runtime, settings.public_url),
                *live_key.routes(runtime, settings.public_url),
                *assets.routes(),
            ]
    return [*found, *health.routes(runtime, gateway.sessions if gateway else None), *openapi.routes()]


def _bring(settings: Settings) -> Bring:
    """Fetches a model as `sottovoce models pull` does."""

    def bring(model: Model, listen: Listen) -> None:
        found = sources.chosen(settings.model_sources, settings.models_url, offline=settings.offline)
        sources.pull(ModelStore(models_folder(settings)), model, found, listen, offline=settings.offline)

    return bring


def server_config(settings: Settings, app: ASGIApp, connections: int) -> uvicorn.Config:
    """The configuration of uvicorn for *app*, with room for *connections*."""
    limits = ConnectionLimits(
        total=connections,
        per_address=settings.max_connections_per_address,
        head=settings.head_timeout,
        stall=settings.transfer_timeout,
        trusted=networks(settings.trusted_proxies),
    )
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=limited(limits),
        ws=SocketProtocol,
        ws_max_size=MAX_MESSAGE,
        ws_ping_interval=None,  # pings of the server break some clients (contract `realtime.md` §10)
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        lifespan="off",
        timeout_graceful_shutdown=round(settings.drain_timeout) + 1,
    )
