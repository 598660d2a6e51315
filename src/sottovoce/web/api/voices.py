"""Speaker identifiers of realtime sessions: the same as those of jobs, valid in the project of the caller."""

from collections.abc import Sequence

from sottovoce.pipeline.diarization import KnownVoice
from sottovoce.request import LiveRequest
from sottovoce.service.identity.api_keys import Caller
from sottovoce.service.jobs.speaker_identifiers import Scope, SpeakerIdentifiers, encrypted_speaker, known
from sottovoce.service.runtime import Runtime
from sottovoce.transcript.model import Speaker


class ProjectVoices:
    """Identifiers for *caller* and the live diarizer of *runtime* (`realtime.ports.VoiceCodec`)."""

    def __init__(self, runtime: Runtime, caller: Caller) -> None:
        self._identifiers = SpeakerIdentifiers(runtime.encryptor)
        diarizer = runtime.live_offers.live_diarizer
        form = diarizer.capabilities.voiceprints if diarizer else None
        project = caller.project_id
        self._scope = Scope(workspace_id=caller.workspace_id, project_id=project, form=form) if form else None

    def known(self, request: LiveRequest) -> tuple[tuple[KnownVoice, ...], int]:
        """Return the voices that *request* names, and the number of its identifiers that are not valid."""
        if self._scope is None:
            return (), sum(len(each.speaker_identifiers) for each in request.speaker_diarization.speakers)
        return known(request, self._scope, self._identifiers)

    def encrypted(self, speakers: Sequence[Speaker]) -> tuple[Speaker, ...]:
        """Return *speakers* with an identifier in place of each voice print."""
        scope = self._scope
        return tuple(encrypted_speaker(each, scope, self._identifiers) for each in speakers) if scope else ()
