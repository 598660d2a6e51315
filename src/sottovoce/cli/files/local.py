"""Transcribes files on this machine, in an engine process of the command's own."""

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sottovoce import __version__
from sottovoce.cli.files.failures import FileFailed, Unavailable
from sottovoce.cli.files.reports import Listener, Step
from sottovoce.cli.files.sources import Source, SourceKind
from sottovoce.cli.local.engine_session import friendly_errors, local_pool

if TYPE_CHECKING:
    from sottovoce.cli.files.job_config import Wishes
    from sottovoce.engines.engine import EngineKey
    from sottovoce.engines.protocols import Capabilities
    from sottovoce.engines.registry import Choice
    from sottovoce.inference import messages as m
    from sottovoce.inference.pool import Pool
    from sottovoce.request import OperatingPoint, TranscriptionRequest
    from sottovoce.settings import Settings
    from sottovoce.transcript.model import Transcript


class LocalTranscriber:
    """Transcribes with *pool*; *track*: of the files, or `None` for the best one."""

    def __init__(
        self,
        settings: "Settings",
        pool: "Pool",
        key: "EngineKey",
        offers: "tuple[Capabilities, ...]",
        *,
        config: dict[str, Any],
        track: int | None,
    ) -> None:
        """Raises `Refused` for a config that is not valid, `ClickException` for a translation that no backend here makes."""
        from sottovoce.bootstrap import engines
        from sottovoce.engines.gaps import gaps
        from sottovoce.engines.resolution import resolve
        from sottovoce.request import TranscriptionRequest
        from sottovoce.wire.v2.config import parse_job_config

        request = parse_job_config(json.dumps(config).encode())
        if not isinstance(request, TranscriptionRequest):
            raise TypeError(request)
        resolved = resolve(request, offers)
        self._settings, self._pool, self._key, self._config = settings, pool, key, config
        self._request, self._engines, self._track = request, resolved.keys, track
        self._advice = _advice(settings, key)
        self._gaps = gaps(request, resolved, offers, engines(settings)[0].stages)
        if lacking := [gap.why for gap in self._gaps if gap.stage == "translation"]:
            raise click.ClickException(f"--translate: {lacking[0]}")

    def transcribe(self, source: Source, forms: Sequence[str], listen: Listener) -> Mapping[str, bytes]:
        """The transcript of *source* in each of *forms*. Raises `FileFailed`."""
        from sottovoce.audio.tracks import Wanted
        from sottovoce.inference import messages as m
        from sottovoce.inference.pool import EngineMisconfigured, EngineTemporarilyUnavailable, Task
        from sottovoce.transcript import codec

        wanted = Wanted(number=self._track, required=True) if self._track else None
        if self._advice:
            listen(Step(note=self._advice))
            self._advice = ""

        def hear(message: "m.Message", _payload: bytes) -> None:
            if (step := _step(message)) is not None:
                listen(step)

        try:
            with self._media(source) as path, friendly_errors():
                task = m.Transcribe(
                    path=str(path.resolve()),
                    request=self._request,
                    engines=self._engines,
                    gaps=self._gaps,
                    track=wanted,
                )
                outcome = self._pool.run_blocking(self._key, Task(message=task), hear)
        except click.ClickException as error:
            unusable = isinstance(error.__cause__, EngineMisconfigured | EngineTemporarilyUnavailable)
            raise (Unavailable if unusable else FileFailed)(error.message) from error
        except OSError as error:
            raise FileFailed(error.strerror or str(error)) from error
        transcript = codec.decode(outcome.payload)
        return {form: _rendered(transcript, source.name, self._config, self._request, form) for form in forms}

    @contextmanager
    def _media(self, source: Source) -> Iterator[Path]:
        """The file of *source*; standard input and a URL are copied to a temporary one."""
        if source.kind is SourceKind.FILE:
            with Path(source.text).open("rb"):  # says what is wrong in the words of the system
                pass
            yield Path(source.text)
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "media"
            if source.kind is SourceKind.URL:
                asyncio.run(_fetch(self._settings, source.text, path))
            else:
                with path.open("wb") as file:
                    shutil.copyfileobj(sys.stdin.buffer, file)
            yield path


def _advice(settings: "Settings", key: "EngineKey") -> str:
    """How to get a better recogniser, if *key* is only the one that needs no model and the person did not ask for it."""
    from sottovoce.bootstrap import models_folder

    if settings.engine != "auto" or key.engine != "pocketsphinx":
        return ""
    return (
        f"recognised by pocketsphinx, which is weak: {models_folder(settings)} has no other model for this language; "
        "`sottovoce models pull base` gets one, and --data-dir names another folder"
    )


def _step(message: "m.Message") -> Step | None:
    from sottovoce.inference import messages as m

    if isinstance(message, m.Progress):
        return Step(done=message.done, total=message.total)
    if isinstance(message, m.Stage) and message.note:
        if message.name == "recognise" and message.note.startswith("engine "):
            return Step(begun=True)
        told = message.name in {"media", "recognise"}
        return Step(note=message.note) if told else None
    return None


async def _fetch(settings: "Settings", url: str, path: Path) -> None:
    """Store the media at *url*, which must be allowed by the rules of outgoing requests. Raises `FileFailed`, `OSError`."""
    from sottovoce.bootstrap import task_settings
    from sottovoce.outbound import Limits, Outbound, OutboundFailed, OutboundRefused, OutboundRequest
    from sottovoce.outbound.client import USER_AGENT

    planned = task_settings(settings)
    policy = planned.fetch
    limits = Limits(total=policy.seconds, body_bytes=policy.media_bytes, redirects=policy.redirects)
    ask = OutboundRequest(url=url, headers=(("User-Agent", USER_AGENT),), limits=limits)
    try:
        async with Outbound(planned.outbound) as outbound, outbound.open(ask) as answer:
            if not 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's success
                raise FileFailed(f"its server answered {answer.status}")
            with path.open("wb") as file:
                async for piece in answer.chunks():
                    file.write(piece)
    except (OutboundRefused, OutboundFailed, ValueError) as error:
        raise FileFailed(f"it was not fetched: {error}") from error


class EngineChooser:
    """Chooses the engine for *language*. Without one, *language* becomes `auto` if the engine for English identifies languages."""

    def __init__(self, language: str | None, point: "OperatingPoint") -> None:
        self.language = language or ""
        self._point = point

    def __call__(self, offers: "tuple[Capabilities, ...]") -> "Choice":
        """The best engine of *offers*. Raises `EngineUnavailable`."""
        from sottovoce.engines import registry
        from sottovoce.errors import EngineUnavailable
        from sottovoce.transcript.languages import AUTO

        if not self.language:
            try:
                best = registry.choose("en", self._point, offers)
            except EngineUnavailable:  # only models of other languages are installed
                self.language = AUTO
            else:
                self.language = AUTO if best.capabilities.identifies_language else "en"
        return registry.choose(self.language, self._point, offers)


@contextmanager
def local_transcriber(settings: "Settings", wishes: "Wishes", track: int | None) -> Iterator[LocalTranscriber]:
    """A transcriber with a started engine process. Raises `ClickException` if no engine can do it."""
    from sottovoce.cli.server.ensure_models import link_bundled
    from sottovoce.request import OperatingPoint

    link_bundled(settings)
    chooser = EngineChooser(wishes.named_language, OperatingPoint(wishes.operating_point))
    with friendly_errors(), local_pool(settings, chooser) as (pool, key, offers):
        config = wishes.config(chooser.language)
        yield LocalTranscriber(settings, pool, key, offers, config=config, track=track)


def _rendered(
    transcript: "Transcript", name: str, config: dict[str, Any], request: "TranscriptionRequest", shape: str
) -> bytes:
    import orjson

    from sottovoce.job import State
    from sottovoce.transcript.model import RATE
    from sottovoce.wire.formats.table import FORMATS, Rendering
    from sottovoce.wire.v2.job import JobView

    view = JobView(
        id="local",
        state=State.DONE,
        created_at=transcript.created_at,
        data_name=name,
        duration_ms=transcript.duration * 1000 // RATE,
        config=config,
    )
    form = FORMATS[shape]
    value = form.render(Rendering(transcript=transcript, job=view, request=request, version=__version__))
    if isinstance(value, bytes):
        return value
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2) if form.is_json else str(value).encode("utf-8", "replace")
    return text if text.endswith(b"\n") else text + b"\n"
