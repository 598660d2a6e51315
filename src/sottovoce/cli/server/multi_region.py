"""`serve --regions`: one server process per region on this machine, with one data folder and one control database."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from sottovoce import __version__
from sottovoce.cli.common import silent_settings

if TYPE_CHECKING:
    from sottovoce.service.operations.supervisor import RegionProcess
    from sottovoce.service.plan import Plan
    from sottovoce.settings import Settings

MOST_PORT = 65535
_EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound


def supervise(settings: "Settings", flags: Mapping[str, object]) -> None:
    """Run a server for each region of *settings* with *flags* until a signal stops them. All settings are checked first."""
    from sottovoce import logs
    from sottovoce.cli.server.serve import log_unknown_variables
    from sottovoce.service.operations.supervisor import RestartPolicy, Supervisor

    flags = {name: value for name, value in flags.items() if value is not None and name not in {"region", "regions"}}
    each = {name: silent_settings(**{**flags, "region": name, "regions": ""}) for name in settings.regions}
    plans = _plans(each)
    logs.set_up(settings.log_level)
    log_unknown_variables()
    with contextlib.ExitStack() as stack:
        ports = _ports(settings, stack)
        trees = [_tree(each[name], plans[name], flags, ports) for name in settings.regions]
        supervisor = Supervisor(trees, _StartReport(), RestartPolicy(grace=2 * settings.drain_timeout + 30))
        if not asyncio.run(supervisor.run()):
            sys.exit(1)  # the servers have logged the reason


def _plans(each: "Mapping[str, Settings]") -> "dict[str, Plan]":
    """The plan of each region's server. Raises `ClickException` for settings that it cannot start with, or that conflict."""
    from sottovoce.bootstrap import plan

    plans: dict[str, Plan] = {}
    for name, settings in each.items():
        try:
            plans[name] = made = plan(settings)
        except ValueError as error:
            raise click.ClickException(str(error)) from error
        for other in each:
            if other in plans and other != name and plans[other].region_number == made.region_number:
                raise click.ClickException(
                    f"regions {other} and {name} have the same SOTTOVOCE_REGION_NUMBER; V1 job ids need a different one for each"
                )
    return plans


def _ports(settings: "Settings", stack: contextlib.ExitStack) -> dict[str, int]:
    """A port for each region, bound until *stack* is closed.

    This process binds the ports without listening: a restarted server gets the same port, and until then the kernel refuses
    connections at once.
    """
    from sottovoce.cli.server.listening import bound

    ports: dict[str, int] = {}
    for offset, name in enumerate(settings.regions):
        port = settings.port + offset if settings.port else 0
        if port > MOST_PORT:
            raise click.ClickException(f"there is no port {port} for region {name}; choose a lower --port")
        ports[name] = stack.enter_context(bound(settings.host, port)).getsockname()[1]
    return ports


def _tree(settings: "Settings", plan: "Plan", flags: Mapping[str, object], ports: Mapping[str, int]) -> "RegionProcess":
    """The command and environment of the server of the region that *settings* name."""
    from sottovoce.cli.server.listening import shown
    from sottovoce.service.operations.supervisor import RegionProcess

    urls = {} if settings.host in _EVERYWHERE else {n: f"http://{shown(settings.host)}:{p}" for n, p in ports.items()}
    given = {
        **flags,
        "parent": os.getpid(),
        "region": settings.region,
        "port": ports[settings.region],
        "slots": settings.slots or max(1, plan.slots // len(ports)),  # the servers share the slots of this machine
    }
    options = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return RegionProcess(
        region=settings.region,
        command=(sys.executable, "-P", "-m", "sottovoce.cli", "serve", *options),
        environment={
            **os.environ,
            "SOTTOVOCE_REGIONS": "",
            "SOTTOVOCE_REGION_URLS": json.dumps({**urls, **settings.region_urls}),
        },
    )


class _StartReport:
    """Prints the address of each server once, and the first API key (or its file) once."""

    def __init__(self) -> None:
        self._printed: set[str] = set()

    def __call__(self, region: str, line: str) -> None:
        from sottovoce.service.operations.supervisor import LISTENING

        if found := LISTENING.search(line):
            url = found.group(1)
            self._print(
                region,
                f"Sottovoce {__version__}, region {region}: listening on {url}  (portal; API reference: {url}/docs)",
            )
        elif line.startswith("API key:"):
            self._print("key", line)

    def _print(self, about: str, text: str) -> None:
        if about not in self._printed:
            self._printed.add(about)
            with contextlib.suppress(OSError):  # a closed standard output must not stop the servers
                click.echo(text)
                sys.stdout.flush()
