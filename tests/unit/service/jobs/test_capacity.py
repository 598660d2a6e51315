"""What the server can do, and for how much there is room: the capability table, workers' rows, quotas, the outlook."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from sottovoce.engines import registry
from sottovoce.engines.config import EngineConfig
from sottovoce.engines.domains import Domain, load
from sottovoce.engines.protocols import Capabilities, Skill
from sottovoce.errors import EngineUnavailable, Kind, Refused
from sottovoce.intelligence.stages import StageName
from sottovoce.request import (
    AlignmentRequest,
    AudioFormat,
    AudioType,
    KnownSpeaker,
    LanguageIdentification,
    LiveRequest,
    OperatingPoint,
    SpeakerDiarization,
    Summarization,
    TranscriptionRequest,
    VocabEntry,
)
from sottovoce.service.jobs import capabilities
from sottovoce.service.jobs.queue_estimate import QueueEstimate
from sottovoce.service.limits import quotas
from sottovoce.service.limits.quotas import Disk, Quota, Usage
from sottovoce.service.queue import worker_registry
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, sqlite_url
from sottovoce.service.storage.migrate import REGION, upgrade
from sottovoce.wire.realtime.errors import CLOSE, ErrorType, session_refused

LISTENER = Capabilities(
    engine="l",
    model="m",
    languages=frozenset({"en", "de", "cy", "bn"}),
    identifies_language=True,
    grade=30,
    suits=OperatingPoint.STANDARD,
    pinned=frozenset({OperatingPoint.ENHANCED}),
)
HOUR = 3_600_000
"""Milliseconds: a lease that no machine is slow enough to miss."""
ENGLISH = Capabilities(engine="e", model="m", languages=frozenset({"en"}))
GERMAN = Capabilities(
    engine="g", model="m", languages=frozenset({"de"}), operating_points=frozenset({OperatingPoint.ENHANCED})
)
PLAIN = TranscriptionRequest(language="en")


@pytest.fixture
def database(tmp_path):
    database = Database(sqlite_url(tmp_path / "region.db"))
    upgrade(database, REGION)
    yield database
    database.close()


NOT_HERE = [
    (replace(PLAIN, domain="medical"), "transcription_config.domain"),
    (replace(PLAIN, audio_events=()), "audio_events_config"),
    (
        replace(PLAIN, speaker_diarization=SpeakerDiarization(get_speakers=True)),
        "transcription_config.speaker_diarization_config.get_speakers",
    ),
    (
        replace(
            PLAIN,
            speaker_diarization=SpeakerDiarization(speakers=(KnownSpeaker(label="A", speaker_identifiers=("x",)),)),
        ),
        "transcription_config.speaker_diarization_config.speakers",
    ),
    (replace(PLAIN, language="fr"), "transcription_config.language"),
    (replace(PLAIN, language="auto"), "transcription_config.language"),
    (replace(PLAIN, language="de"), "transcription_config.language"),
    (AlignmentRequest(language="en"), "alignment_config.language"),
]


@pytest.mark.parametrize(("request_", "at"), NOT_HERE, ids=[at for _, at in NOT_HERE])
def test_what_nobody_covers_is_refused_by_name(request_, at):
    with pytest.raises(Refused) as refused:
        capabilities.CapabilityTable((ENGLISH, GERMAN)).check(request_)
    assert (refused.value.kind, refused.value.at) == (Kind.INVALID_CONFIG, at)


def test_what_is_covered_gets_the_engine_that_covers_it():
    found = capabilities.CapabilityTable((ENGLISH, GERMAN))
    assert found.check(PLAIN).engine == "e"
    assert found.check(replace(PLAIN, language="de", operating_point=OperatingPoint.ENHANCED)).engine == "g"
    assert found.check(replace(PLAIN, output_locale="en-GB")).engine == "e"


FINANCE = Domain(
    name="finance", vocabulary=(VocabEntry(content="EBITDA", sounds_like=("e bit da",)),), engine="e", model=None
)


def test_a_domain_chooses_its_engine_and_adds_its_words():
    better = replace(ENGLISH, engine="b", grade=90)
    found = capabilities.CapabilityTable((ENGLISH, better, GERMAN), {"finance": FINANCE})
    assert found.check(PLAIN).engine == "b"
    assert found.check(replace(PLAIN, domain="finance")).engine == "e"
    own = (VocabEntry(content="ebitda"), VocabEntry(content="x"))
    assert found.prepared(replace(PLAIN, domain="finance")).additional_vocab == FINANCE.vocabulary
    assert found.prepared(replace(PLAIN, domain="finance", additional_vocab=own)).additional_vocab == own
    assert found.prepared(PLAIN) == PLAIN
    assert (found.domains_of("en"), found.domains_of("de")) == (("finance",), ())


@pytest.mark.parametrize(
    ("domains", "domain", "told"),
    [
        ({}, "medical", "installed: none"),
        ({"finance": FINANCE, "law": FINANCE}, "medical", "installed: finance, law"),
        ({"law": Domain(name="law", engine="z")}, "law", "engine or model of the domain 'law' is not present"),
    ],
)
def test_a_domain_that_is_not_installed_is_refused(domains, domain, told):
    with pytest.raises(Refused) as refused:
        capabilities.CapabilityTable((ENGLISH,), domains).check(replace(PLAIN, domain=domain))
    assert refused.value.at == "transcription_config.domain"
    assert told in str(refused.value)


LIVE = replace(ENGLISH, skills=ENGLISH.skills | {Skill.LIVE})
LIVE_PLAIN = LiveRequest(language="en", audio=AudioFormat(type=AudioType.FILE))


def test_a_domain_chooses_the_engine_of_a_session_and_adds_its_words():
    better = replace(LIVE, engine="b", grade=90)
    found = capabilities.CapabilityTable((LIVE, better), {"finance": FINANCE})
    assert found.resolve_live(LIVE_PLAIN).engine == "b"
    asked = replace(LIVE_PLAIN, domain="finance")
    assert found.resolve_live(asked).engine == "e"
    assert found.prepared(asked).additional_vocab == FINANCE.vocabulary
    assert found.domains_of("en", Skill.LIVE) == ("finance",)
    assert capabilities.CapabilityTable((ENGLISH,), {"finance": FINANCE}).domains_of("en", Skill.LIVE) == ()


@pytest.mark.parametrize(
    ("domains", "told"),
    [
        ({}, "the domain 'finance' is not installed on this server (installed: none)"),
        ({"law": FINANCE}, "(installed: law)"),
        ({"finance": Domain(name="finance", engine="z")}, "engine or model of the domain 'finance' is not present"),
    ],
)
def test_a_session_with_a_domain_that_is_not_installed_has_no_model(domains, told):
    """`realtime.md` §4.3: `invalid_model`."""
    with pytest.raises(Refused) as refused:
        capabilities.CapabilityTable((LIVE,), domains).resolve_live(replace(LIVE_PLAIN, domain="finance"))
    error = session_refused(refused.value)
    assert (error.error, CLOSE[error.error]) == (ErrorType.INVALID_MODEL, (4004, "invalid_model"))
    assert told in error.detail


def test_the_files_of_domains_are_read(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("# ours\nEBITDA | e bit da, ebit a\n\nNet Asset Value\n", encoding="utf-8")
    (found,) = load({"finance": {"vocabulary": str(file), "model": "m"}}).values()
    assert found.vocabulary == (
        VocabEntry(content="EBITDA", sounds_like=("e bit da", "ebit a")),
        VocabEntry(content="Net Asset Value"),
    )
    assert (found.engine, found.model) == (None, "m")


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({}, "is empty"),
        ({"words": "x"}, "'words' is unknown"),
        ({"vocabulary": "/nowhere/words.txt"}, "cannot be read"),
    ],
)
def test_a_domain_that_cannot_be_read_stops_the_start(members, told):
    with pytest.raises(ValueError, match=told):
        load({"law": members})


ALIGNER = replace(GERMAN, engine="a", skills=frozenset({Skill.ALIGNMENT}))
DIARIZER = Capabilities(engine="d", model="m", languages=frozenset(), skills=frozenset({Skill.DIARIZATION}))
PRINTER = replace(DIARIZER, engine="p", grade=1, voiceprints="p1")


def test_texts_go_to_an_aligner_of_their_language_and_nothing_else_does():
    found = capabilities.CapabilityTable((ENGLISH, ALIGNER))
    assert (found.languages, found.aligned) == (("en",), ("de",))
    assert found.check(AlignmentRequest(language="de")).engine == "a"
    for request_ in (AlignmentRequest(language="en"), replace(PLAIN, language="de")):
        with pytest.raises(Refused):
            found.check(request_)


def test_speakers_are_identified_where_the_diarizer_makes_voice_prints():
    wanted = replace(PLAIN, speaker_diarization=SpeakerDiarization(get_speakers=True))
    with pytest.raises(Refused):
        capabilities.CapabilityTable((ENGLISH, DIARIZER)).check(wanted)
    found = capabilities.CapabilityTable((ENGLISH, DIARIZER, PRINTER))
    assert found.check(wanted).engine == "e"
    assert found.diarizer
    assert found.diarizer.engine == "p"


AUTO = replace(PLAIN, language="auto")


def test_an_open_language_goes_to_an_engine_that_identifies_it():
    assert capabilities.CapabilityTable((ENGLISH, LISTENER)).check(AUTO).engine == "l"


@pytest.mark.parametrize(
    ("wanted", "at"),
    [
        (LanguageIdentification(expected_languages=("en", "xx")), "expected_languages"),
        (LanguageIdentification(expected_languages=("bn",)), "expected_languages"),  # never identified (§6.6)
        (
            LanguageIdentification(low_confidence_action="use_default_language", default_language="xx"),
            "default_language",
        ),
    ],
)
def test_languages_that_could_never_be_the_answer_are_refused(wanted, at):
    found = capabilities.CapabilityTable((ENGLISH, LISTENER))
    with pytest.raises(Refused) as refused:
        found.check(replace(AUTO, language_identification=wanted))
    assert refused.value.at == f"language_identification_config.{at}"


def test_languages_that_may_be_the_answer_are_taken():
    wanted = LanguageIdentification(
        expected_languages=("en", "cy"), low_confidence_action="use_default_language", default_language="bn"
    )
    assert capabilities.CapabilityTable((LISTENER,)).check(replace(AUTO, language_identification=wanted)).engine == "l"


def test_before_any_worker_was_seen_callers_are_asked_to_come_again():
    with pytest.raises(Refused) as refused:
        capabilities.CapabilityTable(()).check(PLAIN)
    assert refused.value.kind is Kind.UNAVAILABLE


MUSIC = Capabilities(
    engine="a",
    model="s",
    languages=frozenset(),
    skills=frozenset({StageName.AUDIO_EVENTS}),
    event_types=frozenset({"music"}),
)


def test_stages_with_an_error_list_are_accepted_and_their_gaps_are_known():
    asked = replace(
        PLAIN,
        summarization=Summarization(),
        sentiment_analysis=True,
        topics=(),
        auto_chapters=True,
    )
    table = capabilities.CapabilityTable((ENGLISH,), stages={"summary": "off"})
    assert table.check(asked).engine == "e"
    found = {gap.stage: gap.why for gap in table.gaps(asked, table.resolve(asked))}
    assert list(found) == ["summary", "sentiment", "topics", "chapters"]
    assert "SOTTOVOCE_STAGES" in found["summary"]
    assert "pip install vaderSentiment" in found["sentiment"]
    assert "models pull minilm" in found["topics"]
    assert table.gaps(PLAIN, table.resolve(PLAIN)) == ()


def test_the_pair_of_a_translation_is_checked_unless_the_language_is_open():
    both = replace(
        ENGLISH,
        engine="t",
        skills=frozenset({StageName.TRANSLATION}),
        targets=frozenset({"de"}),
        identifies_language=False,
    )
    opens = replace(ENGLISH, identifies_language=True)
    table = capabilities.CapabilityTable((opens, both))
    asked = replace(PLAIN, translation_targets=("de", "en"))
    assert table.check(asked).engine == "e"
    assert table.translated() == {"en": ["de"]}
    with pytest.raises(Refused, match="Translation from en to fr currently not supported") as caught:
        table.check(replace(asked, translation_targets=("de", "fr")))
    assert caught.value.at == "translation_config.target_languages"
    assert table.check(replace(asked, language="auto", translation_targets=("fr",))).engine == "e"


def test_audio_events_are_accepted_if_one_of_them_can_be_detected():
    table = capabilities.CapabilityTable((ENGLISH, MUSIC))
    for kinds in ((), ("music",), ("applause", "music")):
        assert table.check(replace(PLAIN, audio_events=kinds)).engine == "e"
    with pytest.raises(Refused, match="applause and laughter cannot be detected") as refused:
        table.check(replace(PLAIN, audio_events=("applause", "laughter")))
    assert refused.value.at == "audio_events_config.types"


@pytest.mark.parametrize("name", ["nobody", "tests.sleeper:NOTHING", "no.such.module:ENGINE", "tests.sleeper:NAME"])
def test_an_engine_that_is_none_is_said_plainly(name):
    with pytest.raises(EngineUnavailable):
        registry.offered(EngineConfig(), name)


def test_an_engine_of_ones_own_is_known_by_its_address():
    found = registry.skilled(registry.offered(EngineConfig(), "tests.sleeper:ENGINE"), Skill.TRANSCRIPTION)
    assert [entry.engine for entry in found] == ["tests.sleeper:ENGINE"]


def test_workers_say_what_they_can_and_are_forgotten_after_a_day(database):
    with database.writing() as connection:
        worker_registry.beat(connection, "one", (ENGLISH,), 2)
        worker_registry.beat(connection, "one", (ENGLISH,), 3)
        worker_registry.beat(connection, "two", (ENGLISH, GERMAN, LISTENER), 1)
    with database.reading() as connection:
        assert worker_registry.union(worker_registry.seen(connection)) in (
            (ENGLISH, GERMAN, LISTENER),
            (GERMAN, LISTENER, ENGLISH),
        )
        assert worker_registry.alive(connection, HOUR) == {"one": 3, "two": 1}
    with database.writing() as connection:
        worker_registry.leave(connection, "one")
        connection.execute(sa.update(t.workers).where(t.workers.c.id == "two").values(heartbeat_at=1))
        assert worker_registry.alive(connection, HOUR) == {}
        assert worker_registry.union(worker_registry.seen(connection)) == (ENGLISH,)
        assert worker_registry.forget(connection) == 1


def test_a_worker_of_a_newer_release_is_understood(database):
    with database.writing() as connection:
        worker_registry.beat(connection, "new", (ENGLISH,), 1)
        plain = connection.execute(sa.select(t.workers.c.capabilities)).scalar_one()
        connection.execute(sa.update(t.workers).values(capabilities=[{**plain[0], "levitates": True}]))
        assert worker_registry.union(worker_registry.seen(connection)) == (ENGLISH,)


def test_quotas():
    quotas.check(Quota(), Usage(live_jobs=10**9, stored_bytes=10**18), 10**18)
    quotas.check(Quota(live_jobs=2, stored_bytes=100), Usage(live_jobs=1, stored_bytes=50), 50)
    with pytest.raises(Refused) as many:
        quotas.check(Quota(live_jobs=2), Usage(live_jobs=2, stored_bytes=0), 0)
    with pytest.raises(Refused) as much:
        quotas.check(Quota(stored_bytes=100), Usage(live_jobs=0, stored_bytes=50), 51)
    assert (many.value.kind, much.value.kind) == (Kind.TOO_MANY_JOBS, Kind.STORAGE_FULL)


def test_a_disk_keeps_its_reserve(tmp_path):
    Disk(root=tmp_path, reserve=0).check(1)
    with pytest.raises(Refused) as full:
        Disk(root=tmp_path, reserve=1 << 60).check(1)
    assert full.value.kind is Kind.STORAGE_FULL
    assert str(tmp_path) not in full.value.detail


def test_the_outlook_in_words():
    assert (
        QueueEstimate(waiting=3, audio=40, slots=2, speed=4).words()
        == "place 4 in the queue, about 5 s before it begins"
    )
    assert "no worker" in QueueEstimate(waiting=0, audio=0, slots=0).words()


def test_a_row_of_a_release_with_other_members_is_read():
    """Older releases wrote `live`; members of a later one are ignored too."""
    every = replace(LIVE, targets=frozenset({"de"}))
    row = {**worker_registry._plain(every), "live": True, "later": 1}
    assert worker_registry._capabilities(row) == every
    del row["targets"]  # a row of an older release
    assert worker_registry._capabilities(row) == LIVE


def test_a_session_without_room_may_get_a_smaller_model_made_for_its_language():
    base = replace(LIVE, model="base", languages=frozenset({"en", "de"}), grade=20)
    tiny, many = replace(LIVE, model="tiny.en", grade=12), replace(base, model="tiny", grade=10)
    fallback = replace(LIVE, engine="f", grade=0)
    found = capabilities.CapabilityTable((base, tiny, many, fallback), {"finance": replace(FINANCE, engine=None)})

    def smaller(request, table=found):
        best = table.resolve_live(request)
        assert best.model == "base"
        return [choice.model for choice in table.smaller_live(request, best)]

    assert smaller(LIVE_PLAIN) == ["tiny.en"]
    assert smaller(replace(LIVE_PLAIN, language="de")) == []
    assert smaller(replace(LIVE_PLAIN, domain="finance")) == []
    pinned = replace(base, pinned=frozenset({OperatingPoint.STANDARD}))
    assert smaller(LIVE_PLAIN, capabilities.CapabilityTable((pinned, tiny))) == []


# ── models by name, and translation of speech ──

BASE = replace(
    LISTENER, engine="whisper", model="whisper-base", skills=frozenset({Skill.TRANSCRIPTION, Skill.SPEECH_TRANSLATION})
)
TINY = replace(ENGLISH, engine="whisper", model="whisper-tiny.en")
SPHINX = replace(ENGLISH, engine="pocketsphinx", model="en-us")


def test_a_request_may_name_its_model():
    table = capabilities.CapabilityTable((BASE, TINY, SPHINX))
    assert table.models == ("whisper-base", "whisper-tiny.en", "pocketsphinx")
    for name, engine in (("whisper-tiny.en", "whisper"), ("pocketsphinx", "pocketsphinx")):
        assert table.check(replace(PLAIN, model=name)).engine == engine
    with pytest.raises(EngineUnavailable):
        table.check(TranscriptionRequest(language="de", model="whisper-tiny.en"))


def test_translation_is_a_skill_of_its_own():
    table = capabilities.CapabilityTable((BASE, TINY))
    request = TranscriptionRequest(language="de", translate_speech=True)
    assert list(table.resolve(request).keys) == [Skill.SPEECH_TRANSLATION]
    assert table.spoken(None, translate=True) == (("bn", "cy", "de", "en"), True)
    assert table.spoken("whisper-tiny.en", translate=True) == ((), False)
    assert table.spoken("whisper-tiny.en", translate=False) == (("en",), False)
    with pytest.raises(EngineUnavailable):
        capabilities.CapabilityTable((TINY,)).check(request)
