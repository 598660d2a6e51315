"""Which handshakes a process accepts: by measured load, and at most a number of sessions."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from sottovoce.realtime.session import Session

YOUNG = 30.0
"""Seconds; the measured load does not contain all of a younger session yet, so that it counts at its estimated load."""


class Load(Protocol):
    """The measured load of the recognisers."""

    @property
    def busy(self) -> float:
        """The share 0..1 of the capacity that is used, averaged over about 30 s."""
        ...

    @property
    def capacity(self) -> float:
        """The estimated number of sessions of continuous speech that the process can serve."""
        ...


def admits(load: Load, ages: Iterable[float]) -> bool:
    """True if one more session fits beside sessions that are *ages* seconds old.

    The estimated load of a session, 1 / capacity, is added for the new one and, as far as the average does not contain it yet, for
    each young one: otherwise ten simultaneous handshakes would all see an idle server.
    """
    ages = list(ages)
    if load.capacity <= 0 or load.busy >= 1:
        return False
    if not ages:
        return True  # the first session, even on a machine that is too slow for one
    unseen = sum(max(0.0, 1 - age / YOUNG) for age in ages)
    return load.busy + (1 + unseen) / load.capacity <= 1


class Sessions:
    """The sessions of a process, from the handshake to the end."""

    def __init__(self, load: Callable[[], Load], most: int, clock: Callable[[], float]) -> None:
        self.most = most
        self._load = load
        self._clock = clock
        self._begun: dict[object, float] = {}
        self._running: dict[Session, str | None] = {}
        self.stopping = False

    def has_room(self) -> bool:
        """True if one more session is accepted now."""
        if self.stopping or len(self._begun) >= self.most:
            return False
        now = self._clock()
        return admits(self._load(), [now - begun for begun in self._begun.values()])

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
        self._begun[ticket] = self._clock()
        try:
            yield True
        finally:
            del self._begun[ticket]

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
