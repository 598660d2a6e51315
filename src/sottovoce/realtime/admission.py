"""Which handshakes a process accepts: by measured load, and at most a number of sessions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from sottovoce.realtime.session import Session


class Load(Protocol):
    """The measured load of the recognisers."""

    @property
    def busy(self) -> float:
        """The share 0..1 of the capacity that is used: measured, plus what young sessions will use."""
        ...

    @property
    def capacity(self) -> float:
        """The number of sessions of continuous speech that the process can serve, by their measured cost."""
        ...

    @property
    def sessions(self) -> int:
        """The sessions whose load *busy* contains: those with a recogniser."""
        ...


def admits(load: Load, pending: int, accepted: int) -> bool:
    """True if one more session fits beside *accepted* ones, of which *pending* have no recogniser yet.

    Each of these counts at the cost of a session, as the new one: otherwise ten simultaneous handshakes would all see an idle
    server.
    """
    if load.capacity <= 0 or load.busy >= 1:
        return False
    if not accepted:
        return True  # the first session, even on a machine that is too slow for one
    return load.busy + (1 + pending) / load.capacity <= 1


class Sessions:
    """The sessions of a process, from the handshake to the end."""

    def __init__(self, load: Callable[[], Load], most: int) -> None:
        self.most = most
        self._load = load
        self._begun: set[object] = set()
        self._running: dict[Session, str | None] = {}
        self.stopping = False

    def has_room(self) -> bool:
        """True if one more session is accepted now."""
        if self.stopping or len(self._begun) >= self.most:
            return False
        load, accepted = self._load(), len(self._begun)
        return admits(load, max(accepted - load.sessions, 0), accepted)

    @property
    def retry_after(self) -> int:
        """Seconds after which a refused client may try again."""
        return 30 if self.stopping else 5

    @contextmanager
    def slot(self) -> Iterator[bool]:
        """Take a slot for one session; False if there is none."""
        if not self.has_room():
            yield False
            return
        ticket = object()
        self._begun.add(ticket)
        try:
            yield True
        finally:
            self._begun.remove(ticket)

    @contextmanager
    def running(self, session: Session, request_id: str | None) -> Iterator[None]:
        """List *session* while it runs; *request_id* is the client's `X-Request-ID`."""
        self._running[session] = request_id
        try:
            yield
        finally:
            del self._running[session]

    def active(self) -> list[tuple[str, str | None]]:
        """The id and the client's request id of each session."""
        return [(session.id, request_id) for session, request_id in self._running.items()]

    @property
    def lag(self) -> float:
        """Seconds of audio that the session furthest behind has not processed yet."""
        return max((session.lag for session in self._running), default=0.0)

    def stop(self) -> None:
        """Refuse new sessions, and end those that run with the text of what was sent so far."""
        self.stopping = True
        for session in list(self._running):
            session.stop()

    def __len__(self) -> int:
        return len(self._begun)
