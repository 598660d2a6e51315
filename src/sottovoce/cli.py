"""The command `sottovoce`. Heavy parts are imported inside the commands that need them: `--help` is instant.

Every option of `serve` has an environment variable `SOTTOVOCE_…`; `docs/settings.md` lists them.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sottovoce import __version__

if TYPE_CHECKING:
    import socket

    from sottovoce.inference import messages as m
    from sottovoce.inference.pool import Pool
    from sottovoce.service.database import Database
    from sottovoce.service.datafolder import DataFolder
    from sottovoce.service.runtime import Runtime
    from sottovoce.settings import Settings
    from sottovoce.transcript.model import Transcript


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sottovoce")
def main() -> None:
    """Speech-to-text on your own machines, behind the API that your clients speak already."""


def _settings(**flags: object) -> "Settings":
    """Settings of this command, or a usage error that names what is wrong."""
    from pydantic import ValidationError

    from sottovoce.settings import load

    try:
        return load(**flags)
    except (ValueError, OSError) as error:
        if not isinstance(error, ValidationError):
            raise click.UsageError(f"invalid settings: {error}") from error
        lines = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
        raise click.UsageError("invalid settings: " + "; ".join(lines)) from error


data_dir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Folder of databases, media and keys (SOTTOVOCE_DATA_DIR; data).",
)
region = click.option("--region", help="The region that this server is (SOTTOVOCE_REGION; eu1).")


# ── serve ──


@main.command()
@click.option("--host", help="Address to listen on (SOTTOVOCE_HOST; 127.0.0.1).")
@click.option("--port", type=int, help="Port to listen on, 0 for a free one (SOTTOVOCE_PORT; 8080).")
@data_dir
@region
@click.option("--roles", help="Parts to run: api,batch,realtime (SOTTOVOCE_ROLES; all).")
@click.option("--slots", type=int, help="Jobs at the same time (SOTTOVOCE_SLOTS; one a core, at most 4).")
@click.option("--engine", help="Recogniser: auto or pocketsphinx (SOTTOVOCE_ENGINE; auto).")
@click.option("--log-level", help="DEBUG, INFO, WARNING or ERROR (SOTTOVOCE_LOG_LEVEL; INFO).")
def serve(**flags: object) -> None:
    """Run the server until it is told to stop."""
    from sottovoce import logs

    settings = _settings(**flags)
    logs.set_up(settings.log_level)
    sock = _listen(settings.host, settings.port)
    with _started(settings) as runtime:
        _run(settings, runtime, sock)


@main.command()
@data_dir
@region
@click.option("--slots", type=int, help="Jobs at the same time (SOTTOVOCE_SLOTS; one a core, at most 4).")
@click.option("--queues", help="Queues to serve, separated by commas (SOTTOVOCE_QUEUES; batch).")
@click.option("--engine", help="Recogniser: auto, or one by name (SOTTOVOCE_ENGINE; auto).")
@click.option("--host", help="Address for health and metrics (SOTTOVOCE_HOST; 127.0.0.1).")
@click.option("--health-port", type=int, help="Serve /health and /metrics on this port; default: not at all.")
@click.option("--log-level", help="DEBUG, INFO, WARNING or ERROR (SOTTOVOCE_LOG_LEVEL; INFO).")
def worker(health_port: int | None, **flags: object) -> None:
    """Do jobs from the queue of a region's database, beside servers that accept them."""
    import signal

    from sottovoce import logs

    settings = _settings(roles="batch", **flags)
    if settings.database_url is None:
        raise click.UsageError(
            "a worker of its own needs SOTTOVOCE_DATABASE_URL; `serve` on a data folder does its jobs itself"
        )
    logs.set_up(settings.log_level)
    sock = None if health_port is None else _listen(settings.host, health_port)
    signals = {signal.SIGTERM, signal.SIGINT}
    if sock is None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # before any thread: they all inherit it, and sigwait gets it
    with _started(settings) as runtime:
        if sock is not None:
            _run(settings, runtime, sock)
        else:
            click.echo("Sottovoce worker is at work")
            sys.stdout.flush()
            signal.sigwait(signals)


@contextmanager
def _started(settings: "Settings") -> "Iterator[Runtime]":
    """A running runtime, drained and closed at the end; what an operator can mend is said in one line."""
    from sqlalchemy.exc import SQLAlchemyError

    from sottovoce.errors import Refused
    from sottovoce.service.datafolder import FolderInUse
    from sottovoce.service.runtime import NotMigrated, Runtime
    from sottovoce.web.app import plan

    try:
        runtime = Runtime(plan(settings))
        runtime.start()
    except Refused as refused:
        raise click.ClickException(refused.detail) from refused
    except (ValueError, FolderInUse, NotMigrated, OSError) as error:
        raise click.ClickException(str(error)) from error
    except SQLAlchemyError as error:
        raise click.ClickException(
            f"a database cannot be used: {type(error).__name__}: {str(error).splitlines()[0]}"
        ) from error
    try:
        yield runtime
    finally:
        runtime.close()


def _run(settings: "Settings", runtime: "Runtime", sock: "socket.socket") -> None:
    """Serve HTTP until SIGTERM or Ctrl-C."""
    import logging
    import signal

    import uvicorn

    from sottovoce.web.app import create_app
    from sottovoce.web.protocol import Protocol, Server

    host, port = sock.getsockname()[:2]
    config = uvicorn.Config(
        create_app(settings, runtime),
        loop="uvloop",
        http=Protocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        timeout_graceful_shutdown=round(settings.drain_timeout) + 1,
    )
    logging.getLogger(__name__).info("server up", extra={"settings": settings.redacted()})
    sock.listen(config.backlog)  # from here on nobody is refused: whoever connects waits for the loop
    _welcome(runtime, f"http://{_shown(host)}:{port}")
    for name in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal once more when it has ended; the runtime is still to be drained then
        signal.signal(name, lambda *_: None)
    Server(config, runtime.watcher.dismiss).run(sockets=[sock])
    logging.getLogger(__name__).info("server down")


def _listen(host: str, port: int) -> "socket.socket":
    """A bound socket, so that port 0 is known before anything is built, and a taken port fails first."""
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return sock


def _shown(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - shown, not bound


def _welcome(runtime: "Runtime", url: str) -> None:
    """What a person needs now: where the server is, and on its very first start the key."""
    click.echo(f"Sottovoce {__version__} is listening on {url}  (API reference: {url}/docs)")
    kept = runtime.plan.folder.api_key
    if runtime.first_key:
        click.echo(f"API key: {runtime.first_key}  (shown this once; kept in {kept})")
    elif kept.exists():
        click.echo(f"API key: in {kept}")
    sys.stdout.flush()


# ── keys ──


@main.group()
def keys() -> None:
    """Make, list and revoke API keys."""


@contextmanager
def _control(flags: dict[str, object]) -> "Iterator[Database]":
    """The control database that `serve` uses with the same settings. Fails clearly when there is none yet."""
    settings, folder = _folder(flags)
    if settings.control_database_url is None and not folder.control_database.exists():
        raise click.ClickException(
            f"no database in {settings.data_dir}: start `sottovoce serve` once, or name its --data-dir"
        )
    with _opened(settings.control_database_url, folder.control_database) as database:
        yield database


def _folder(flags: dict[str, object]) -> "tuple[Settings, DataFolder]":
    """Settings of this command, and the data folder that they name."""
    from sottovoce.service.datafolder import DataFolder

    settings = _settings(**flags)
    return settings, DataFolder(root=settings.data_dir, region=settings.region)


@contextmanager
def _opened(url: str | None, file: Path) -> "Iterator[Database]":
    """The database at *url*, else the embedded one in *file*."""
    from sottovoce.service.database import Database, sqlite_url

    database = Database(url or sqlite_url(file))
    try:
        yield database
    finally:
        database.close()


@keys.command("create")
@click.argument("name")
@data_dir
def keys_create(name: str, **flags: object) -> None:
    """Make a key called NAME and print its secret, once."""
    from sottovoce.service import accounts

    secret = accounts.new_secret()
    with _control(flags) as database, database.writing() as connection:
        made = accounts.create_key(
            connection, project_id=accounts.default_project(connection), name=name, secret=secret
        )
    click.echo(f"{made.id}  {secret}")


@keys.command("list")
@data_dir
def keys_list(**flags: object) -> None:
    """List every key, without secrets."""
    from sottovoce.service import accounts
    from sottovoce.wire.instants import milliseconds

    with _control(flags) as database, database.reading() as connection:
        for key in accounts.list_keys(connection):
            state = f"revoked {milliseconds(key.revoked_at)}" if key.revoked_at else "active"
            click.echo(f"{key.id}  {milliseconds(key.created_at)}  {state}  {key.name}")


@keys.command("revoke")
@click.argument("key_id")
@data_dir
def keys_revoke(key_id: str, **flags: object) -> None:
    """Make the key KEY_ID (as `keys list` shows it) worthless; servers notice within two seconds."""
    from sottovoce.service import accounts

    with _control(flags) as database, database.writing() as connection:
        if not accounts.revoke_key(connection, key_id):
            raise click.ClickException(f"no active key {key_id}")
    click.echo(f"revoked {key_id}")


# ── migrate ──


@main.command()
@data_dir
@region
def migrate(**flags: object) -> None:
    """Bring both databases, and the queue's tables, to the shape of this release."""
    from sottovoce.service import migrate as migrations
    from sottovoce.service.database import Database, sqlite_url
    from sottovoce.service.datafolder import DataFolder

    settings = _settings(**flags)
    folder = DataFolder(root=settings.data_dir, region=settings.region)
    folder.prepare()
    wanted = (
        (settings.control_database_url, folder.control_database, migrations.CONTROL),
        (settings.database_url, folder.region_database, migrations.REGION),
    )
    for url, file, branch in wanted:
        database = Database(url or sqlite_url(file))
        try:
            migrations.upgrade(database, branch)
            if branch == migrations.REGION:
                migrations.upgrade_queue(database)
            click.echo(f"{branch}: revision {migrations.current(database, branch)[0]}")
        finally:
            database.close()


# ── jobs ──


@main.group()
def jobs() -> None:
    """Look at jobs of all projects, and give rejected ones another chance."""


@contextmanager
def _region(flags: dict[str, object]) -> "Iterator[Database]":
    """The region database that `serve` uses with the same settings."""
    settings, folder = _folder(flags)
    if settings.database_url is None and not folder.region_database.exists():
        raise click.ClickException(
            f"no region {settings.region} in {settings.data_dir}; name its --data-dir and --region"
        )
    with _opened(settings.database_url, folder.region_database) as database:
        yield database


@jobs.command("list")
@click.option("--state", type=click.Choice(["queued", "running", "done", "rejected", "deleted", "expired"]))
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@data_dir
@region
def jobs_list(state: str | None, limit: int, **flags: object) -> None:
    """List jobs, newest first."""
    from sottovoce.job import State
    from sottovoce.service import jobs as store
    from sottovoce.wire.instants import milliseconds

    with _region(flags) as database, database.reading() as connection:
        for job in store.everybodys(connection, state=State(state) if state else None, limit=limit):
            why = f"  {job.reason}" if job.reason else ""
            seconds = job.duration_ms / 1000
            click.echo(
                f"{job.id}  {milliseconds(job.created_at)}  {job.state:<8}  {seconds:>9.1f} s  {job.progress:>4.0%}{why}"
            )


@jobs.command("show")
@click.argument("job_id")
@data_dir
@region
def jobs_show(job_id: str, **flags: object) -> None:
    """Show the job JOB_ID: its row without the config, and its log."""
    from dataclasses import asdict

    from sottovoce.service import jobs as store
    from sottovoce.wire import job_log

    with _region(flags) as database, database.reading() as connection:
        found = store.get(connection, job_id)
        if found is None:
            raise click.ClickException(f"no job {job_id} in this region")
        lines = store.log_lines(connection, job_id)
    for name, value in asdict(found).items():
        if name not in {"config", "idempotency_digest", "errors"} and value is not None:
            click.echo(f"{name:<16} {value}")
    for error in found.errors:
        click.echo(f"{'error':<16} {error.message}")
    click.echo(job_log.render(job_log.Line(**asdict(line)) for line in lines), nl=False)


@jobs.command("retry")
@click.argument("job_id")
@data_dir
@region
def jobs_retry(job_id: str, **flags: object) -> None:
    """Put the rejected job JOB_ID back into the queue; a running server takes it up."""
    from sottovoce.job import State
    from sottovoce.service import jobs as store
    from sottovoce.service.queue import DbosQueue

    with _region(flags) as database:
        with database.reading() as connection:
            held = store.get(connection, job_id)
        if held is None or held.state is not State.REJECTED:  # before its queue entry is touched: it may be at work
            raise click.ClickException(f"no rejected job {job_id} in this region")
        queue = DbosQueue(database)
        try:
            queue.forget([job_id])
            with database.writing() as connection:
                found = store.retry(connection, job_id)
                if found is None:
                    raise click.ClickException(f"job {job_id} was changed by somebody else meanwhile")
                queue.submit(
                    connection, job_id, queue=found.queue, account=str(found.workspace_id), priority=found.priority
                )
        finally:
            queue.close()
    click.echo(f"{job_id} is queued again")


# ── backup ──


@main.command()
@click.argument("target", type=click.Path(path_type=Path))
@data_dir
@region
def backup(target: Path, **flags: object) -> None:
    """Copy an embedded server's data to the folder TARGET, while it runs; see docs/backup.md for the way back."""
    from sottovoce.service import backup as copies
    from sottovoce.service.datafolder import DataFolder

    settings = _settings(**flags)
    if settings.database_url is not None or settings.blob_url is not None:
        raise click.UsageError("only a data folder can be copied; use your database's and your bucket's own backups")
    try:
        count = copies.copy(DataFolder(root=settings.data_dir, region=settings.region), target)
    except OSError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"copied {count} files and both databases to {target}")


# ── transcribe ──


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--format", "shape", type=click.Choice(["txt", "json"]), default="txt", show_default=True)
@click.option("--language", default="en", show_default=True, help="Language code.")
@click.option("--diarization", type=click.Choice(["none", "channel"]), default="none", show_default=True)
@click.option("--engine", help="Recogniser: auto or pocketsphinx (SOTTOVOCE_ENGINE; auto).")
def transcribe(files: tuple[Path, ...], shape: str, language: str, diarization: str, engine: str | None) -> None:
    """Transcribe FILES here and now, without a server, in the same way as one would."""
    from sottovoce.errors import Refused
    from sottovoce.inference.pool import ChildBroke, ChildDied, EngineDown

    settings = _settings(engine=engine)
    config = {"type": "transcription", "transcription_config": {"language": language, "diarization": diarization}}
    try:
        with _local_pool(settings.engine, language) as (pool, key):
            for path in files:
                _transcribe_one(pool, key, path, config, shape=shape, headed=len(files) > 1)
    except Refused as refusal:
        raise click.ClickException(refusal.detail or str(refusal.kind)) from refusal
    except (ChildDied, ChildBroke, EngineDown) as trouble:
        raise click.ClickException(f"the engine process failed: {str(trouble).splitlines()[-1]}") from trouble


@contextmanager
def _local_pool(engine: str, language: str) -> "Iterator[tuple[Pool, m.EngineKey]]":
    """One warm engine process for *language*. Raises `EngineUnavailable`."""
    from sottovoce.engines import registry
    from sottovoce.inference import messages as m
    from sottovoce.inference.pool import Pool
    from sottovoce.request import OperatingPoint

    choice = registry.choose(language, OperatingPoint.STANDARD, registry.offered(engine))
    key = m.EngineKey(engine=choice.engine, model=choice.model, device=choice.device)
    pool = Pool()
    try:
        pool.warm(key, 1)
        yield pool, key
    finally:
        pool.close()


def _transcribe_one(
    pool: "Pool", key: "m.EngineKey", path: Path, config: dict[str, Any], *, shape: str, headed: bool
) -> None:
    import json

    from sottovoce.inference import messages as m
    from sottovoce.inference.pool import Task
    from sottovoce.request import TranscriptionRequest
    from sottovoce.transcript import codec
    from sottovoce.wire import txt
    from sottovoce.wire.v2_config import parse_job_config

    request = parse_job_config(json.dumps(config).encode())
    if not isinstance(request, TranscriptionRequest):
        raise TypeError(request)
    task = Task(message=m.Transcribe(path=str(path.resolve()), request=request))
    with _progress(path.name) as listen:
        outcome = pool.run_blocking(key, task, listen)
    transcript = codec.decode(outcome.payload)
    if headed and shape == "txt":
        click.echo(f"# {path.name}")
    if shape == "txt":
        click.echo(txt.render(transcript, diarization=request.diarization))
    else:
        click.echo(_as_json(transcript, path.name, config))


def _as_json(transcript: "Transcript", name: str, config: dict[str, Any]) -> str:
    import orjson

    from sottovoce.job import State
    from sottovoce.transcript.model import RATE
    from sottovoce.wire import v2_transcript
    from sottovoce.wire.v2_jobs import JobView

    view = JobView(
        id="local",
        state=State.DONE,
        created_at=transcript.created_at,
        data_name=name,
        duration_ms=transcript.duration * 1000 // RATE,
        config=config,
    )
    source = v2_transcript.Source(transcript=transcript, job=view, version=__version__)
    return orjson.dumps(v2_transcript.render(source), option=orjson.OPT_INDENT_2).decode()


@contextmanager
def _progress(name: str) -> "Iterator[Callable[[m.Message, bytes], None]]":
    """A listener that draws a bar on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from sottovoce.inference import messages as m

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(name, total=None)

        def listen(message: m.Message, _payload: bytes) -> None:
            if isinstance(message, m.Progress):
                bar.update(task, completed=message.done, total=message.total)

        yield listen


if __name__ == "__main__":
    main()
