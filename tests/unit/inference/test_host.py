import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sottovoce.errors import EngineFailed, EngineUnavailable, Kind, Refused
from sottovoce.inference import host
from sottovoce.inference import messages as m
from sottovoce.inference.frame_socket import FrameSocket
from sottovoce.transcript import codec
from sottovoce.transcript.model import Word
from tests.servers import PATIENCE


def window(channel: int, start: int, end: int) -> m.WindowDone:
    return m.WindowDone(channel=channel, start=start, end=end)


def items(start: int) -> bytes:
    return codec.dump_items([Word(start=start, end=start + 1, text="word")])


def test_kept_windows_are_read_and_a_foreign_one_ends_its_channel() -> None:
    kept: list[tuple[m.Message, bytes]] = [
        (window(0, 0, 10), items(0)),
        (window(0, 10, 20), b'{"v":99,"i":[]}'),  # another release's
        (window(0, 20, 30), items(20)),  # would leave a hole
        (window(1, 0, 5), items(0)),
        (m.Finished(), b""),  # not a window at all
        (window(1, 5, 9), items(5)),
    ]
    assert [(each.channel, each.start, each.end) for each in host._windows(kept)] == [(0, 0, 10), (1, 0, 5), (1, 5, 9)]


@contextmanager
def served(doer: host.TaskHandler) -> Iterator[FrameSocket]:
    """The parent's end of a line on whose other end *doer* serves."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        thread = threading.Thread(target=host.serve, args=(FrameSocket(theirs), doer))
        thread.start()
        yield FrameSocket(ours)
        ours.shutdown(socket.SHUT_WR)  # the parent goes away
        thread.join(PATIENCE)
        assert not thread.is_alive()


def raising(error: Callable[[], Exception]) -> host.TaskHandler:
    def doer(line: FrameSocket, message: m.Message, payload: bytes) -> None:
        raise error()

    return doer


def test_refusals_are_told_and_bugs_too_and_the_child_lives() -> None:
    with served(raising(lambda: Refused(Kind.INVALID_AUDIO, "no audio", at="data_file"))) as line:
        for _ in range(2):
            line.send(m.Inspect(path="x"))
            assert line.receive()[0] == m.Declined(refusal=Kind.INVALID_AUDIO, why="no audio", at="data_file")
    with served(raising(lambda: ZeroDivisionError("oops"))) as line:
        line.send(m.Inspect(path="x"))
        broken = line.receive()[0]
        assert isinstance(broken, m.Broken)
        assert "ZeroDivisionError: oops" in broken.error
    with served(raising(lambda: EngineFailed("Identification failed"))) as line:
        line.send(m.Inspect(path="x"))
        broken = line.receive()[0]
        assert isinstance(broken, m.Broken)
        assert broken.why == "Identification failed"


def test_an_engine_that_crashes_is_not_refused() -> None:
    def crash(*_: object) -> None:
        raise EngineUnavailable("the decoder cannot load the text", at=None) from ZeroDivisionError("oops")

    with served(crash) as line:
        line.send(m.Inspect(path="x"))
        broken = line.receive()[0]
    assert isinstance(broken, m.Broken)
    assert "ZeroDivisionError: oops" in broken.error


def test_payloads_of_any_size_arrive_whole() -> None:
    def echo(line: FrameSocket, message: m.Message, _: bytes) -> None:
        line.send(*line.receive())

    payload = bytes(range(256)) * (20 << 10)  # 5 MiB
    with served(echo) as line:
        line.send(m.Inspect(path="x"))
        sender = threading.Thread(target=line.send, args=(window(0, 0, 1), payload))
        sender.start()
        message, back = line.receive()
        sender.join()
    assert message == window(0, 0, 1)
    assert back == payload
