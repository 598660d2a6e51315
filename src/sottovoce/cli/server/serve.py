"""`serve` and `worker`: processes that run until SIGTERM or Ctrl-C."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from sottovoce.cli.common import ENGINE_HELP, data_dir, region, silent_settings, system_fault
from sottovoce.cli.server.listening import bound, shown
from sottovoce.cli.server.welcome import welcome

if TYPE_CHECKING:
    import socket

    from sottovoce.service.runtime import Runtime
    from sottovoce.settings import Settings


begin_anew = click.option(
    "--begin-anew",
    multiple=True,
    metavar="PART",
    type=click.Choice(["secrets-key", "region-database", "control-database"]),
    help="Start once without a lost part, and lose what it held: secrets-key, region-database or control-database.",
)


@click.command()
@click.option("--host", help="Address to listen on (SOTTOVOCE_HOST; 127.0.0.1).")
@click.option("--port", type=int, help="Port to listen on, 0 for a free one (SOTTOVOCE_PORT; 8080).")
@data_dir
@region
@click.option(
    "--regions", help="Several regions, each with a server on consecutive ports: eu1,us1,au1 (SOTTOVOCE_REGIONS)."
)
@click.option("--roles", help="Parts to run: api,batch,realtime (SOTTOVOCE_ROLES; all).")
@click.option(
    "--slots", type=int, help="Jobs at the same time (SOTTOVOCE_SLOTS; one per GPU, else one per core up to 4)."
)
@click.option("--engine", help=ENGINE_HELP)
@click.option("--log-level", help="DEBUG, INFO, WARNING or ERROR (SOTTOVOCE_LOG_LEVEL; INFO).")
@begin_anew
@click.option("--parent", type=int, hidden=True, help="Id of the supervising process; the server ends with it.")
def serve(parent: int | None, begin_anew: tuple[str, ...], **flags: object) -> None:
    """Run the server, or one server per region, until SIGTERM or Ctrl-C."""
    from sottovoce import logs

    if parent is not None:
        from sottovoce.inference.frame_socket import die_with_parent

        die_with_parent(parent)
    if flags["region"] is not None:
        if flags["regions"]:
            raise click.UsageError("--region and --regions exclude each other")
        flags["regions"] = ""  # --region overrides SOTTOVOCE_REGIONS
    settings = silent_settings(**flags)
    if settings.regions:
        from sottovoce.cli.server.multi_region import supervise

        if begin_anew:
            raise click.UsageError("--begin-anew is for one region; start it once with --region NAME --begin-anew PART")
        supervise(settings, flags)
        return
    people = parent is None and sys.stderr.isatty()
    quiet = people and "log_level" not in settings.model_fields_set
    logs.set_up("WARNING" if quiet else settings.log_level, people=people)
    if parent is None:
        log_unknown_variables()
    else:
        _name_lines(settings.region)
    sock = bound(settings.host, settings.port)
    if people:
        click.echo("Sottovoce is starting: databases, then the engine (some seconds)", err=True)
    with sock, _started(settings, begin_anew) as runtime:
        _run(settings, runtime, sock, people=people)


@click.command()
@data_dir
@region
@click.option(
    "--slots", type=int, help="Jobs at the same time (SOTTOVOCE_SLOTS; one per GPU, else one per core up to 4)."
)
@click.option("--queues", help="Queues to serve, separated by commas (SOTTOVOCE_QUEUES; batch).")
@click.option("--engine", help="Recogniser: auto, or one by name (SOTTOVOCE_ENGINE; auto).")
@click.option("--host", help="Address for health and metrics (SOTTOVOCE_HOST; 127.0.0.1).")
@click.option("--health-port", type=int, help="Serve /health and /metrics on this port; default: no port.")
@click.option("--log-level", help="DEBUG, INFO, WARNING or ERROR (SOTTOVOCE_LOG_LEVEL; INFO).")
@begin_anew
def worker(health_port: int | None, begin_anew: tuple[str, ...], **flags: object) -> None:
    """Process jobs from the queue of a region's database; servers accept the jobs."""
    import signal

    from sottovoce import logs

    settings = silent_settings(roles="batch", **flags)
    if settings.database_url is None:
        raise click.UsageError(
            "a separate worker needs SOTTOVOCE_DATABASE_URL; `serve` on a data folder processes its jobs itself"
        )
    logs.set_up(settings.log_level)
    log_unknown_variables()
    sock = None if health_port is None else bound(settings.host, health_port, "--health-port")
    signals = {signal.SIGTERM, signal.SIGINT}
    if sock is None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # before any thread starts: threads inherit the mask
    with sock or nullcontext(), _started(settings, begin_anew) as runtime:
        if sock is not None:
            _run(settings, runtime, sock)
        else:
            click.echo("Sottovoce worker is at work")
            sys.stdout.flush()
            signal.sigwait(signals)


def _name_lines(name: str) -> None:
    """Add the region *name* to every line of the log, which several servers share."""
    import logging

    def named(record: logging.LogRecord) -> bool:
        record.__dict__.setdefault("region", name)
        return True

    for handler in logging.getLogger().handlers:
        handler.addFilter(named)


def log_unknown_variables() -> None:
    """Log a warning for each variable `SOTTOVOCE_…` that is not a setting."""
    import logging

    from sottovoce.setting_faults import unknown_variables

    for text in unknown_variables():
        logging.getLogger(__name__).warning("unknown setting", extra={"why": text})


@contextmanager
def _started(settings: "Settings", begin_anew: tuple[str, ...]) -> "Iterator[Runtime]":
    """A started runtime, drained and closed at the end. Raises `ClickException` for errors that an operator can fix."""
    from sqlalchemy.exc import SQLAlchemyError

    from sottovoce.bootstrap import plan
    from sottovoce.cli.server.ensure_models import prepare_models
    from sottovoce.errors import Refused
    from sottovoce.service.runtime import NotMigrated, Runtime
    from sottovoce.service.storage.data_folder import FolderInUse
    from sottovoce.service.storage.database import DatabaseUnusable, one_line
    from sottovoce.service.storage.lost_parts import Part, PartLost

    prepare_models(settings)
    try:
        runtime = Runtime(replace(plan(settings), begin_anew=frozenset(map(Part, begin_anew))))
        runtime.start()
    except Refused as refused:
        raise click.ClickException(refused.detail) from refused
    except OSError as error:
        raise click.ClickException(system_fault(error)) from error
    except (ValueError, FolderInUse, NotMigrated, DatabaseUnusable, PartLost) as error:
        raise click.ClickException(str(error)) from error
    except SQLAlchemyError as error:
        raise click.ClickException(f"a database cannot be used: {one_line(error)}") from error
    try:
        yield runtime
    finally:
        runtime.close()


def _run(settings: "Settings", runtime: "Runtime", sock: "socket.socket", *, people: bool = False) -> None:
    """Serve HTTP until SIGTERM or Ctrl-C. *people*: a person reads standard error."""
    import logging
    import signal

    from sottovoce.service.large_work import prefer_event_loop
    from sottovoce.web.app import create_app, create_gateway, server_config
    from sottovoce.web.connections import raise_descriptors
    from sottovoce.web.server import Server

    host, port = sock.getsockname()[:2]
    room = raise_descriptors(settings.max_connections)
    if room < settings.max_connections:
        _log_descriptors(room, settings.max_connections)
    gateway = create_gateway(settings, runtime)
    config = server_config(settings, create_app(settings, runtime, gateway), room)
    logging.getLogger(__name__).info("server up", extra={"settings": settings.redacted()})

    def stopping() -> None:
        """Answer requests that wait, and end realtime sessions with their text."""
        if people:
            click.echo(
                f"Stopping: jobs have {settings.drain_timeout:g} s to end; the rest go on at the next start", err=True
            )
        runtime.completion_waiter.release_all()
        if gateway is not None:
            gateway.stop()

    server = Server(config, stopping)

    def stop(*_: object) -> None:
        """Stop a server that has not installed its own handlers yet.

        uvicorn also raises the signal again after it has stopped; it must not end the process before the runtime is drained.
        """
        server.should_exit = True

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, stop)
    prefer_event_loop()
    sock.listen(config.backlog)  # from here on connections wait for the event loop instead of being refused
    welcome(runtime, f"http://{shown(host)}:{port}")
    server.run(sockets=[sock])
    logging.getLogger(__name__).info("server down")


def _log_descriptors(room: int, wanted: int) -> None:
    import logging

    logging.getLogger(__name__).warning("few file descriptors", extra={"connections": room, "wanted": wanted})
