"""The protocol of one session of a voice agent (contract `agent-stt.md`): realtime's, with other messages for the results.

Section numbers are those of `agent-stt.md`.
"""

from dataclasses import dataclass

from sottovoce.inference import live_events as live
from sottovoce.realtime import conversation as c
from sottovoce.realtime.conversation import Output, Send
from sottovoce.request import LiveRequest, TurnDetection
from sottovoce.transcript.model import Samples, samples
from sottovoce.wire.agent import messages
from sottovoce.wire.agent import server_messages as server
from sottovoce.wire.realtime import messages as m
from sottovoce.wire.realtime import server_messages as common
from sottovoce.wire.realtime.errors import NORMAL, ErrorType, WarningType


@dataclass(slots=True, kw_only=True)
class AgentConversation(c.Conversation):
    """The protocol of one session. *open_turn*: `StartOfTurn` was sent, and `EndOfTurn` not yet."""

    start_timeout: ErrorType = ErrorType.START_RECOGNITION_TIMEOUT
    open_turn: bool = False
    _last_forced: float = -1.0

    def parse(self, text: bytes, max_channels: int) -> m.ClientMessage:
        """The message of the client in *text*. Raises `SessionRefused`."""
        return messages.parse(text, m.Context(running=self.running, max_channels=max_channels))

    @property
    def _request(self) -> LiveRequest:
        return self._config.request

    @property
    def _detects(self) -> bool:
        """True if silence ends a turn."""
        return self._request.turns is not None and self._request.turns.detection is TurnDetection.VAD

    # ── start ──

    def _admitted(self, message: c.Admitted, _now: float) -> list[Output]:
        """§3: the warnings have types of realtime that this protocol lacks, so most are sent without."""
        warnings = [
            Send(body=common.warning(each.type, each.reason))
            if each.type is WarningType.SPEAKER_ID
            else Send(body=server.warning(each.reason))
            for each in self._warnings_of(message)
        ]
        return [Send(body=server.concurrent_session_usage(message.usage, message.quota)), *warnings]

    def _opened(self, _event: live.Opened, now: float) -> list[Output]:
        if self.state is c.State.STARTING:  # EndOfStream may have come already
            self.state = c.State.RUNNING
        self._began = self._last_audio = now
        return [
            Send(body=server.recognition_started(self.session_id, self.version, self._request)),
            Send(body=server.recognition_quality()),
        ]

    # ── messages ──

    def _force(self, message: m.ForceEndOfUtterance, _now: float) -> list[Output]:
        """§2: only in external mode, and each time stamp later than the one before."""
        if self._detects:
            why = "ForceEndOfUtterance is ignored: turn_detection_mode is vad, so silence ends a turn"
            return [Send(body=server.warning(why))]
        at = message.timestamp
        if at is not None:
            if at <= self._last_forced:
                why = f"ForceEndOfUtterance is ignored: its timestamp {at:g} is not after the last one, {self._last_forced:g}"
                return [Send(body=server.warning(why))]
            self._last_forced = at
        return [c.Force(at=None if at is None else samples(min(at, c.MAX_SECONDS)))]

    # ── results ──

    def _final(self, event: live.Final, _now: float) -> list[Output]:
        return self._segment(event, final=True)

    def _partial(self, event: live.Partial, _now: float) -> list[Output]:
        return self._segment(event, final=False)

    def _segment(self, event: live.Final | live.Partial, *, final: bool) -> list[Output]:
        """§4, §5: no empty segment; the first words begin the turn, also where partials are not wanted."""
        if not event.items:
            return []
        body = server.segment(event.items, event.start, event.end, self._request, final=final)
        if not body["segment"]["transcript"]:
            return []
        begun: list[Output] = [] if self.open_turn else [Send(body=server.start_of_turn(event.start))]
        self.open_turn = True
        wanted = final or self._request.enable_partials
        return [*begun, Send(body=body)] if wanted else begun

    def _utterance_end(self, event: live.UtteranceEnd, _now: float) -> list[Output]:
        return self._end_turn(event.at)

    def _end_turn(self, at: Samples) -> list[Output]:
        if not self.open_turn:
            return []
        self.open_turn = False
        return [Send(body=server.end_of_turn(at))]

    def _speech_started(self, event: live.SpeechStarted, _now: float) -> list[Output]:
        return [Send(body=server.speech_started(event.at))] if self._detects else []

    def _speech_ended(self, event: live.SpeechEnded, _now: float) -> list[Output]:
        return [Send(body=server.speech_ended(event.at))] if self._detects else []

    # ── end ──

    def _finished(self, _event: live.Finished, _now: float) -> list[Output]:
        """§5: the recogniser has ended the open turn; SpeakersResult if asked for, and EndOfTranscript as the last message."""
        self.state = c.State.DONE
        code, reason = NORMAL
        return [*self._result_at_end(), Send(body=common.end_of_transcript()), c.Close(code=code, reason=reason)]
