"""Live sessions in real child processes, with the sleeping engine: many at once, kills, faults, slow and vanishing callers."""

import asyncio
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from sottovoce.audio import media
from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import EngineKey
from sottovoce.engines.protocols import AnySkill, Skill
from sottovoce.inference import live, live_events
from sottovoce.inference.pool import LiveFull, LivePolicy, LiveSession, Pool
from sottovoce.request import AudioFormat, AudioType, Encoding, LiveRequest, VocabEntry
from sottovoce.transcript.model import RATE, Word

ENGINES: dict[AnySkill, EngineKey] = {Skill.LIVE: EngineKey(engine="tests.sleeper:ENGINE", model="drowsy")}
RAW = AudioFormat(type=AudioType.RAW, encoding=Encoding.PCM_S16LE, sample_rate=RATE)
REQUEST = LiveRequest(language="en", audio=RAW, enable_partials=True, max_delay=1.0, channels=())
PATIENCE = 60


@pytest.fixture(scope="module")
def speech(demo: Path) -> bytes:
    """Five seconds of speech and one of silence, 16 bits at 16 kHz."""
    audio = np.concatenate([block[0] for block in media.decode(demo)])[: 5 * RATE]
    return bytes((audio * 32_767).astype("<i2").tobytes()) + bytes(2 * RATE)


@pytest.fixture(scope="module")
def environment():
    """The sleeping engine can be imported by children."""
    before = os.environ.get("PYTHONPATH", "")
    root = str(Path(__file__).resolve().parents[3])
    os.environ["PYTHONPATH"] = f"{root}{os.pathsep}{before}" if before else root
    yield
    os.environ["PYTHONPATH"] = before


@pytest.fixture(scope="module")
def pool(environment):
    made = Pool(live=LivePolicy(children=2))
    made.prestart_live(ENGINES[Skill.LIVE])
    yield made
    made.close()


async def collected(session: LiveSession) -> list[live_events.Event]:
    return [event async for event in session.events()]


async def transcribed(pool: Pool, audio: bytes, request: LiveRequest = REQUEST, piece: int = 3_200):
    """The events of a session that gets *audio* as fast as it takes it."""
    async with asyncio.timeout(PATIENCE), pool.live(ENGINES, request) as session:
        reading = asyncio.create_task(collected(session))
        for at in range(0, len(audio), piece):
            await session.send(0, audio[at : at + piece])
        await session.finish()
        return await reading


def words(events: list[live_events.Event]) -> list[str]:
    finals = [event for event in events if isinstance(event, live_events.Final)]
    return [item.text for final in finals for item in final.items if isinstance(item, Word)]


def test_a_session_goes_from_opened_to_finished(pool, speech):
    events = asyncio.run(transcribed(pool, speech))
    assert isinstance(events[0], live_events.Opened)
    assert isinstance(events[-1], live_events.Finished)
    assert live_events.Ended(channel=0, duration=6 * RATE) in events[-3:]
    assert sum(event.size for event in events if isinstance(event, live_events.Taken)) == len(speech)
    assert words(events)
    ends = [event.end for event in events if isinstance(event, live_events.Final)]
    assert ends == sorted(ends)
    assert any(isinstance(event, live_events.Partial) for event in events)


def test_a_session_reports_its_work_and_counts_at_its_cost_from_the_beginning(pool, speech):
    events = asyncio.run(transcribed(pool, speech))
    work = [event for event in events if isinstance(event, live_events.Worked)]
    assert sum(each.audio for each in work) == 6 * RATE
    assert sum(each.decodes for each in work) > 0

    async def run():
        request = LiveRequest(language="en", audio=RAW, channels=("left", "right"), max_delay=1.0)
        async with asyncio.timeout(PATIENCE), pool.live(ENGINES, request):
            return pool.live_load()

    load = asyncio.run(run())
    cost = load.costs[ENGINES[Skill.LIVE]]
    assert 0 < cost <= 1
    assert load.sessions == 1
    assert load.unseen == pytest.approx(2 * cost / load.cores, rel=0.3), "each channel costs as much as a session"


def test_fifty_sessions_at_once_give_the_same_words(pool, speech):
    async def all_of_them():
        return await asyncio.gather(*(transcribed(pool, speech) for _ in range(50)))

    found = asyncio.run(all_of_them())
    assert all(isinstance(events[-1], live_events.Finished) for events in found)
    assert all(words(events) for events in found)
    assert pool.live_load().sessions == 0


def test_two_channels_have_their_own_words(pool, speech):
    async def run():
        request = LiveRequest(language="en", audio=RAW, channels=("left", "right"), max_delay=1.0)
        async with asyncio.timeout(PATIENCE), pool.live(ENGINES, request) as session:
            reading = asyncio.create_task(collected(session))
            await session.send(1, speech)
            await session.end_channel(1)
            await session.send(0, bytes(RATE))
            await session.force_end(0, None)
            await session.end_channel(0)
            return await reading

    events = asyncio.run(run())
    assert {event.channel for event in events if isinstance(event, live_events.Final)} == {1}
    assert {(event.channel, event.duration) for event in events if isinstance(event, live_events.Ended)} == {
        (0, RATE // 2),
        (1, 6 * RATE),
    }
    assert [event.channel for event in events if isinstance(event, live_events.UtteranceEnd)] == [0]


def test_the_kill_of_a_child_ends_its_sessions_alone(pool, speech):
    async def run():
        async with asyncio.timeout(PATIENCE), pool.live(ENGINES, REQUEST) as one, pool.live(ENGINES, REQUEST) as other:
            both = [asyncio.create_task(collected(session)) for session in (one, other)]
            for session in (one, other):
                await session.send(0, speech)
            os.kill(one._child.child.process.pid, signal.SIGKILL)
            lost = await both[0]
            await one.send(0, speech)  # dropped: the session is over
            await other.finish()
            return lost, await both[1]

    lost, kept = asyncio.run(run())
    assert isinstance(lost[-1], live_events.Failed)
    assert lost[-1].kind == "job_error"
    assert isinstance(kept[-1], live_events.Finished)
    assert isinstance(asyncio.run(transcribed(pool, speech))[-1], live_events.Finished)


def test_a_bug_ends_one_session(pool, speech):
    request = LiveRequest(language="en", audio=RAW, additional_vocab=(VocabEntry(content="explode"),))
    events = asyncio.run(transcribed(pool, speech, request))
    assert isinstance(events[-1], live_events.Failed)
    assert (events[-1].kind, events[-1].detail) == ("job_error", "the recogniser failed: RuntimeError")
    assert isinstance(asyncio.run(transcribed(pool, speech))[-1], live_events.Finished)


def test_a_file_arrives_in_pieces(pool, demo):
    request = LiveRequest(language="en", audio=AudioFormat(type=AudioType.FILE), max_delay=1.0)
    events = asyncio.run(transcribed(pool, demo.read_bytes(), request, piece=1_000))
    assert isinstance(events[-1], live_events.Finished)
    assert words(events)


def test_a_file_that_is_none_is_a_data_error(pool):
    request = LiveRequest(language="en", audio=AudioFormat(type=AudioType.FILE))
    events = asyncio.run(transcribed(pool, b"no media at all " * 1_000, request))
    assert isinstance(events[-1], live_events.Failed)
    assert events[-1].kind == "data_error"


def test_a_sender_waits_while_too_much_is_unread(environment, speech, monkeypatch):
    monkeypatch.setenv("SLEEPER_FACTOR", "0.3")
    monkeypatch.setattr(live, "MOST_UNREAD", 64_000)
    slow = Pool()

    async def run():
        most = 0
        async with asyncio.timeout(PATIENCE), slow.live(ENGINES, REQUEST) as session:
            reading = asyncio.create_task(collected(session))
            for at in range(0, 3 * len(speech), 6_400):
                await session.send(0, (3 * speech)[at : at + 6_400])
                most = max(most, session._unread)
            await session.finish()
            return most, await reading

    try:
        most, events = asyncio.run(run())
    finally:
        slow.close()
    assert most < 64_000 + 6_400
    assert isinstance(events[-1], live_events.Finished)
    assert live_events.Ended(channel=0, duration=18 * RATE) in events[-3:]


def test_a_reader_that_does_not_read_loses_partials_then_the_session(pool, speech, monkeypatch):
    monkeypatch.setattr(live, "_MOST_EVENTS", 20)
    monkeypatch.setattr(live, "_TOO_MANY_EVENTS", 60)

    async def run():
        async with asyncio.timeout(PATIENCE), pool.live(ENGINES, REQUEST) as session:
            for at in range(0, len(speech), 640):
                await session.send(0, speech[at : at + 640])
                if session._over:
                    break
            await session.finish()
            while not session._over:  # noqa: ASYNC110 - nothing tells a caller that does not read
                await asyncio.sleep(0.01)
            return await collected(session)

    events = asyncio.run(run())
    assert len(events) <= 61
    assert isinstance(events[-1], live_events.Failed)


def test_a_caller_that_vanishes_frees_its_place(environment, speech):
    small = Pool(live=LivePolicy(most_sessions=1))

    async def run():
        async with asyncio.timeout(PATIENCE):
            async with small.live(ENGINES, REQUEST) as session:
                await session.send(0, speech)
                with pytest.raises(LiveFull):
                    async with small.live(ENGINES, REQUEST):
                        pass
                child = session._child
            return child.sessions, await transcribed(small, speech)

    try:
        left, events = asyncio.run(run())
    finally:
        small.close()
    assert not left
    assert isinstance(events[-1], live_events.Finished)


def test_a_forced_end_needs_no_audio_after_it(pool: Pool, speech: bytes) -> None:
    """Clients stop sending and wait; the speech detector judges frames of 512 samples, which audio of any length does not fill."""
    odd = speech[: 2 * (3 * RATE + 200)]

    async def forced() -> bool:
        async with asyncio.timeout(PATIENCE), pool.live(ENGINES, REQUEST) as session:
            await session.send(0, odd)
            await session.force_end(None, len(odd) // 2)
            async for event in session.events():
                if isinstance(event, live_events.UtteranceEnd):
                    return event.forced
        return False

    assert asyncio.run(forced())


@pytest.mark.parametrize(("children", "decodes"), [(1, 1), (1, 2), (2, 1)])
def test_sessions_can_use_as_many_cores_as_decodes_run_at_once(children: int, decodes: int) -> None:
    """With one decode at once on two cores, a load of half the machine is all that there is."""
    pool = Pool(engine_config=EngineConfig(workers=decodes), live=LivePolicy(children=children))
    try:
        assert pool.live_load().cores == min(children * decodes, len(os.sched_getaffinity(0)))
        pool._live_pool._live_meter.share = 1 / len(os.sched_getaffinity(0))
        assert pool.live_load().busy == pytest.approx(1 / pool.live_load().cores)
    finally:
        pool.close()
