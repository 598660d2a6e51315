"""Builds the ASGI application from the settings and a runtime. No globals: all objects are built here or in `service.runtime`."""

from typing import TypeVar

from starlette.types import ASGIApp

from sottovoce.bootstrap import region
from sottovoce.service import regions
from sottovoce.service.identity.registration import AccountPolicy
from sottovoce.service.runtime import Runtime
from sottovoce.settings import Settings
from sottovoce.web import auth, routing
from sottovoce.web.api import account, discovery, health, management, v1, v2
from sottovoce.web.docs import openapi
from sottovoce.web.middleware import RequestMiddleware
from sottovoce.web.uploads import Limits

T = TypeVar("T")


def create_app(settings: Settings, runtime: Runtime) -> ASGIApp:
    """The application over a started *runtime*, which the caller closes."""
    return RequestMiddleware(routing.Router(routes(settings, runtime)), runtime.metrics)


def routes(settings: Settings, runtime: Runtime) -> list[routing.Route]:
    """Every route of the application."""
    found: list[routing.Route] = []
    if "api" in settings.roles:
        here = region(settings)
        limits = Limits(file=settings.max_upload_bytes, seconds=settings.upload_timeout)
        waiting = v2.WaitPolicy(default=settings.default_wait, cap=settings.max_wait)
        if regions.Mode.BATCH in here.modes:
            found += auth.audited(v2.routes(runtime, limits, waiting), runtime.control)
            found += v1.routes(runtime, limits)
        found += discovery.routes(runtime, here, settings.region_urls)
        found += management.routes(runtime)
        policy = AccountPolicy(
            registration=settings.registration == "open",
            public_url=settings.public_url,
            password_memory=settings.password_memory_kib,
        )
        found += account.routes(runtime, policy)
    return [*found, *health.routes(runtime), *openapi.routes()]
