"""Speaker identifiers: voice prints as callers hold them, sealed and bound to whoever they were made for (contract §7.10).

We keep no register of voices. The print itself is in the identifier, readable with the vault's keys alone, and with it the
workspace, the project and the form of print that it is good for.
"""

import json
import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass, replace

from sottovoce.pipeline.diarization import MAX_PRINT, KnownVoice
from sottovoce.request import TranscriptionRequest
from sottovoce.service.storage.encryption import Encryptor
from sottovoce.transcript.model import Speaker, Transcript

MAX_IDENTIFIER = 12_000
"""Characters of an identifier: room for the largest print, sealed and written as text."""

_VERSION = "v1."
_IDENTIFIER = re.compile(r"v1\.([A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where an identifier is good: one project of one workspace, and prints of one *form* (`Capabilities.voiceprints`)."""

    workspace_id: int
    project_id: int | None
    form: str

    @property
    def head(self) -> bytes:
        """What stands before the print under the seal; the first word keeps apart what else the vault has sealed."""
        return json.dumps(["voiceprint", self.workspace_id, self.project_id, self.form]).encode() + b"\n"


class SpeakerIdentifiers:
    """Makes identifiers with the newest key of *encryptor*, opens those of any of its keys."""

    def __init__(self, encryptor: Encryptor) -> None:
        self._encryptor = encryptor

    def encrypt(self, scope: Scope, print_: bytes) -> str:
        """The identifier of *print_*: text that is safe in a URL, another one each time. ValueError for a size out of bounds."""
        if not 0 < len(print_) <= MAX_PRINT:
            raise ValueError(f"{len(print_)} bytes are no voice print")
        return _VERSION + self._encryptor.encrypt(scope.head + print_).decode().rstrip("=")

    def open(self, scope: Scope, identifier: str) -> bytes | None:
        """The print in *identifier*; `None` if it is not good in *scope*, was tampered with, or is none of ours."""
        found = _IDENTIFIER.fullmatch(identifier) if len(identifier) <= MAX_IDENTIFIER else None
        if found is None:
            return None
        token = found[1].encode()
        try:
            text = self._encryptor.decrypt(token + b"=" * (-len(token) % 4))
        except ValueError:
            return None
        return text.removeprefix(scope.head) if text.startswith(scope.head) else None


def encrypted(transcript: Transcript, scope: Scope, voiceprints: SpeakerIdentifiers) -> Transcript:
    """*transcript* with an identifier in the place of each print of its speakers."""
    if not any(speaker.prints for speaker in transcript.speakers):
        return transcript
    return replace(transcript, speakers=tuple(_sealed(each, scope, voiceprints) for each in transcript.speakers))


def _sealed(speaker: Speaker, scope: Scope, voiceprints: SpeakerIdentifiers) -> Speaker:
    return replace(
        speaker, prints=tuple(voiceprints.encrypt(scope, urlsafe_b64decode(print_)) for print_ in speaker.prints)
    )


def known(
    request: TranscriptionRequest, scope: Scope, voiceprints: SpeakerIdentifiers
) -> tuple[tuple[KnownVoice, ...], int]:
    """The voices that *request* names, and how many of its identifiers are not good here and ignored (contract §6.2)."""
    voices: list[KnownVoice] = []
    ignored = 0
    for speaker in request.speaker_diarization.speakers:
        opened = [voiceprints.open(scope, identifier) for identifier in speaker.speaker_identifiers]
        prints = tuple(print_ for print_ in opened if print_ is not None)
        ignored += len(opened) - len(prints)
        if prints:
            voices.append(KnownVoice(label=speaker.label, prints=prints))
    return tuple(voices), ignored
