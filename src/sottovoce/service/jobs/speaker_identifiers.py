"""Speaker identifiers: voice prints, encrypted for the caller and valid in one project only (contract §7.10).

The server stores no voice prints. An identifier contains the print, encrypted with the server's keys, together with the workspace,
the project and the form of print for which it is valid.
"""

import json
import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass, replace

from sottovoce.pipeline.diarization import MAX_PRINT, KnownVoice
from sottovoce.request import LiveRequest, TranscriptionRequest
from sottovoce.service.storage.encryption import Encryptor
from sottovoce.transcript.model import Speaker, Transcript

MAX_IDENTIFIER = 12_000
"""Characters of an identifier: enough for the largest print, encrypted and base64-encoded."""

_VERSION = "v1."
_IDENTIFIER = re.compile(r"v1\.([A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The scope of an identifier: one project of one workspace, and one *form* of prints (`Capabilities.voiceprints`)."""

    workspace_id: int
    project_id: int | None
    form: str

    @property
    def head(self) -> bytes:
        """The prefix of the print before encryption; its first word separates it from other data encrypted with these keys."""
        return json.dumps(["voiceprint", self.workspace_id, self.project_id, self.form]).encode() + b"\n"


class SpeakerIdentifiers:
    """Encrypts identifiers with the newest key of *encryptor* and decrypts those of any of its keys."""

    def __init__(self, encryptor: Encryptor) -> None:
        self._encryptor = encryptor

    def encrypt(self, scope: Scope, print_: bytes) -> str:
        """The identifier of *print_*: URL-safe text, different at each call. Raises `ValueError` if it is empty or too large."""
        if not 0 < len(print_) <= MAX_PRINT:
            raise ValueError(f"a voice print has 1 to {MAX_PRINT} bytes, not {len(print_)}")
        return _VERSION + self._encryptor.encrypt(scope.head + print_).decode().rstrip("=")

    def open(self, scope: Scope, identifier: str) -> bytes | None:
        """The print in *identifier*; `None` if it is not valid in *scope*, was changed, or is not an identifier of this server."""
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
    """*transcript* with each voice print of its speakers replaced by an identifier."""
    if not any(speaker.prints for speaker in transcript.speakers):
        return transcript
    return replace(
        transcript, speakers=tuple(encrypted_speaker(each, scope, voiceprints) for each in transcript.speakers)
    )


def encrypted_speaker(speaker: Speaker, scope: Scope, voiceprints: SpeakerIdentifiers) -> Speaker:
    """*speaker* with each voice print replaced by an identifier."""
    return replace(
        speaker, prints=tuple(voiceprints.encrypt(scope, urlsafe_b64decode(print_)) for print_ in speaker.prints)
    )


def known(
    request: TranscriptionRequest | LiveRequest, scope: Scope, voiceprints: SpeakerIdentifiers
) -> tuple[tuple[KnownVoice, ...], int]:
    """The voices that *request* names, and the number of its identifiers ignored as not valid in *scope* (contract §6.2)."""
    voices: list[KnownVoice] = []
    ignored = 0
    for speaker in request.speaker_diarization.speakers:
        opened = [voiceprints.open(scope, identifier) for identifier in speaker.speaker_identifiers]
        prints = tuple(print_ for print_ in opened if print_ is not None)
        ignored += len(opened) - len(prints)
        if prints:
            voices.append(KnownVoice(label=speaker.label, prints=prints))
    return tuple(voices), ignored
