"""Who speaks, through a real server: labels in every format, identifiers that find a voice again, and walls around them."""

import asyncio
import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.sync.client import connect

from sottovoce.audio.media import decode
from sottovoce.service.jobs.speaker_identifiers import MAX_IDENTIFIER
from sottovoce.transcript import codec
from tests import sleeper
from tests.servers import PATIENCE, Server, contents, tls, until

pytestmark = pytest.mark.system

AUDIO = Path(__file__).parents[1] / "fixtures" / "audio"
TALK = AUDIO / "conversation_2.flac"
"""A woman (slt) and a man (rms) in turn: she, he, she, he, she."""
OTHER_TALK = AUDIO / "conversation_3.flac"
"""The same two and another man (awb): he, she, the first man, he, she."""
SENTENCE = AUDIO / "speech.flac"
"""The woman alone."""
IDENTIFIER = re.compile(r"v1\.[A-Za-z0-9_-]{40,}")
WARNED = "speaker identifier(s) ignored: not valid in this project or for this diarizer"


def config(**members: Any) -> dict[str, Any]:
    """A config that tells speakers apart, with *members* in its speaker_diarization_config."""
    asked: dict[str, Any] = {"language": "en", "diarization": "speaker"}
    return {
        "type": "transcription",
        "transcription_config": asked | ({"speaker_diarization_config": members} if members else {}),
    }


def known(**identifiers: Sequence[str]) -> list[dict[str, Any]]:
    """`speakers[]` of a config."""
    return [{"label": label, "speaker_identifiers": list(each)} for label, each in identifiers.items()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A transcript, and what stands around it."""

    server: Server
    key: str
    id: str

    def get(self, path: str, **params: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.key}"}
        answer = httpx.get(
            f"{self.server.url}/v2/jobs/{self.id}{path}",
            params=params,
            headers=headers,
            timeout=PATIENCE,
            verify=tls(),
        )
        assert answer.status_code == 200, answer.text
        return answer

    def json(self) -> dict[str, Any]:
        return dict(self.get("/transcript").json())

    def labels(self) -> list[str]:
        """Of every word and mark."""
        return [item["alternatives"][0]["speaker"] for item in self.json()["results"]]

    def turns(self) -> list[str]:
        """Labels, those that follow each other once."""
        return [label for label, _ in groupby(self.labels())]

    def warnings(self) -> list[str]:
        return [line for line in self.get("/log").text.splitlines() if " WARNING " in line]


class World:
    """A server with a neighbour (another project) and a stranger (another workspace), and what they had transcribed."""

    def __init__(self, server: Server) -> None:
        self.server = server
        with server.client() as client:
            second = client.post("/v1/projects", json={"name": "second"}).json()["project_id"]
            made = client.post("/v1/api-keys", json={"name": "next door", "project_id": second})
            self.neighbour = str(made.json()["key_value"])
        shown = self.command("users", "add", "stranger@example.org", "--no-password", "--json")
        self.stranger = json.loads(shown)["secret"]

    def command(self, *arguments: str) -> str:
        """The output of a command, as the operator runs it beside the server."""
        return self.server.told(*arguments)

    def post(self, media: Path, wanted: dict[str, Any], key: str | None = None) -> httpx.Response:
        """The answer to a submission."""
        with media.open("rb") as file:
            return httpx.post(
                f"{self.server.url}/v2/jobs",
                data={"config": json.dumps(wanted)},
                files={"data_file": (media.name, file)},
                headers={"authorization": f"Bearer {key or self.server.key}"},
                timeout=PATIENCE,
                verify=tls(),
            )

    def hear(self, media: Path, wanted: dict[str, Any], key: str | None = None) -> Heard:
        """A job that is done."""
        answer = self.post(media, wanted, key)
        assert answer.status_code == 201, answer.text
        found = Heard(server=self.server, key=key or self.server.key, id=answer.json()["id"])

        def ended() -> str | None:
            status = str(found.get("").json()["job"]["status"])
            return None if status == "running" else status

        assert until(ended, "end of the job") == "done"
        return found

    @cached_property
    def talk(self) -> Heard:
        """The talk of two, with identifiers."""
        return self.hear(TALK, config(get_speakers=True))

    @cached_property
    def identifiers(self) -> dict[str, list[str]]:
        """Theirs, by label."""
        return {each["label"]: each["speaker_identifiers"] for each in self.talk.json()["speakers"]}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Server(tmp_path_factory.mktemp("speakers")) as server:
        yield World(server)


# ── labels ──


def test_speakers_are_labelled_by_their_first_word(world: World) -> None:
    assert world.talk.turns() == ["S1", "S2", "S1", "S2", "S1"]
    assert "engine builtin" in world.talk.get("/log").text
    assert "2 speaker(s)" in world.talk.get("/log").text
    assert world.talk.warnings() == []


def test_a_mark_is_its_words_speakers(world: World) -> None:
    results = world.talk.json()["results"]
    marks = [number for number, item in enumerate(results) if item["type"] == "punctuation"]
    assert marks
    labels = world.talk.labels()
    assert all(labels[number] == labels[number - 1] for number in marks)


def test_text_has_a_header_at_each_turn(world: World) -> None:
    text = world.talk.get("/transcript", format="txt").text
    blocks = [block.split("\n") for block in text.split("\n\n")]
    assert [block[0] for block in blocks] == [f"SPEAKER: S{number}" for number in (1, 2, 1, 2, 1)]
    assert all(len(block) == 2 and block[1] for block in blocks)


def test_no_cue_of_the_subtitles_has_two_speakers(world: World) -> None:
    srt = world.talk.get("/transcript", format="srt").text
    vtt = world.talk.get("/transcript", format="vtt").text
    assert "S1" not in srt
    assert [name for name, _ in groupby(re.findall(r"<v ([^>]+)>", vtt))] == ["S1", "S2", "S1", "S2", "S1"]
    assert vtt.count("<v ") == vtt.count("-->") == srt.count("-->")


def test_without_diarization_nobody_is_told_apart(world: World) -> None:
    plain = world.hear(SENTENCE, {"type": "transcription", "transcription_config": {"language": "en"}})
    assert set(plain.labels()) == {"UU"}
    assert "speakers" not in plain.json()
    assert "SPEAKER" not in plain.get("/transcript", format="txt").text


def test_one_voice_is_one_speaker_and_has_no_identifier_unless_asked_for(world: World) -> None:
    alone = world.hear(SENTENCE, config())
    assert alone.turns() == ["S1"]
    assert "speakers" not in alone.json()


def test_where_nobody_speaks_there_are_no_speakers(world: World) -> None:
    silence = world.hear(AUDIO / "silence.wav", config(get_speakers=True))
    assert (silence.turns(), silence.json()["speakers"]) == ([], [])
    assert silence.get("/transcript", format="txt").text == ""


# ── identifiers ──


def test_every_speaker_has_identifiers_that_say_nothing(world: World) -> None:
    assert list(world.identifiers) == ["S1", "S2"]
    every = [identifier for each in world.identifiers.values() for identifier in each]
    assert len(set(every)) == len(every) >= 2
    assert all(IDENTIFIER.fullmatch(each) and len(each) <= MAX_IDENTIFIER for each in every)
    assert world.talk.json()["metadata"]["transcription_config"] == config(get_speakers=True)["transcription_config"]


def test_a_voice_is_found_again_under_the_callers_label(world: World) -> None:
    """In another recording, in another order, beside a voice that is not known."""
    speakers = known(Anna=world.identifiers["S1"], **{"Bert Müller": world.identifiers["S2"]})
    heard = world.hear(OTHER_TALK, config(speakers=speakers, get_speakers=True))
    assert heard.turns() == ["S1", "Anna", "Bert Müller", "S1", "Anna"]
    assert {each["label"] for each in heard.json()["speakers"]} == {"S1", "Anna", "Bert Müller"}
    assert heard.get("/transcript", format="txt").text.count("SPEAKER: Anna\n") == 2
    assert "<v Bert Müller>" in heard.get("/transcript", format="vtt").text
    assert "2 of them known" in heard.get("/log").text
    assert heard.warnings() == []
    assert heard.json()["metadata"]["transcription_config"]["speaker_diarization_config"]["speakers"] == speakers


@pytest.mark.parametrize("who", ["neighbour", "stranger"])
def test_identifiers_are_good_in_their_own_project_alone(world: World, who: str) -> None:
    """The same voice, the same identifiers: only the key is another."""
    wanted = config(speakers=known(Anna=world.identifiers["S1"]))
    theirs = world.hear(SENTENCE, wanted, getattr(world, who))
    assert theirs.turns() == ["S1"]
    (warning,) = theirs.warnings()
    assert warning.endswith(f"{len(world.identifiers['S1'])} {WARNED}")
    ours = world.hear(SENTENCE, wanted)
    assert ours.turns() == ["Anna"]
    assert ours.warnings() == []


def test_what_is_no_identifier_of_ours_is_ignored(world: World) -> None:
    (good, *_) = world.identifiers["S1"]
    middle = len(good) // 2
    tampered = good[:middle] + ("A" if good[middle] != "A" else "B") + good[middle + 1 :]
    bad = [tampered, good[:-4], good.removeprefix("v1."), "v2." + good[3:], "v1.", "x", "\u202e" * 10, good + "="]
    heard = world.hear(SENTENCE, config(speakers=known(Anna=bad)))
    assert heard.turns() == ["S1"]
    (warning,) = heard.warnings()
    assert warning.endswith(f"{len(bad)} {WARNED}")
    mixed = world.hear(SENTENCE, config(speakers=known(Anna=[tampered, good])))
    assert mixed.turns() == ["Anna"]
    assert len(mixed.warnings()) == 1


def test_no_voice_print_is_stored_in_the_open(world: World) -> None:
    """What is kept holds the identifiers that were handed out, and none for whoever did not ask for any."""
    assert world.identifiers
    root = world.server.data / "eu1" / "blobs"
    found = {path.parts[-3]: codec.decode(content) for path, content in contents(root) if path.name == "transcript"}
    assert found
    for job_id, transcript in found.items():
        prints = [print_ for speaker in transcript.speakers for print_ in speaker.prints]
        assert all(IDENTIFIER.fullmatch(each) for each in prints), job_id
        assert not prints or "get_speakers" in asked(world, job_id), job_id
    log = world.server.log.read_text()
    assert not any(each in log for ids in world.identifiers.values() for each in ids)


def asked(world: World, job_id: str) -> str:
    """The config of a job, of whosever it is."""
    for key in (world.server.key, world.neighbour, world.stranger):
        headers = {"authorization": f"Bearer {key}"}
        answer = httpx.get(f"{world.server.url}/v2/jobs/{job_id}", headers=headers, timeout=PATIENCE, verify=tls())
        if answer.status_code == 200:
            return json.dumps(answer.json()["job"]["config"])
    raise AssertionError(job_id)


CONFIG_AT = "Job config JSON is invalid. Error: transcription_config.speaker_diarization_config."
LIMITS: dict[str, dict[str, Any]] = {
    "51 identifiers": {"speakers": known(Anna=[f"v1.{n}" for n in range(51)])},
    "51 of two speakers": {"speakers": known(Anna=[f"a{n}" for n in range(26)], Bert=[f"b{n}" for n in range(25)])},
    "the same twice": {"speakers": known(Anna=["x", "x"])},
    "none": {"speakers": known(Anna=[])},
    "no label": {"speakers": known(**{"": ["x"]})},
    "a label of ours": {"speakers": known(S1=["x"])},
    "another": {"speakers": known(S12345=["x"])},
    "the unknown one": {"speakers": known(UU=["x"])},
    "a blank before": {"speakers": known(**{" Anna": ["x"]})},
    "a blank behind": {"speakers": known(**{"Anna ": ["x"]})},
    "no list": {"speakers": {"label": "Anna"}},
    "more than everything": {"speaker_sensitivity": 1.01},
}


@pytest.mark.parametrize("members", LIMITS.values(), ids=LIMITS.keys())
def test_the_contracts_limits_hold(world: World, members: dict[str, Any]) -> None:
    answer = world.post(SENTENCE, config(**members))
    body = answer.json()
    assert (answer.status_code, body["error"]) == (400, "Job rejected")
    assert body["detail"].startswith(CONFIG_AT)


def test_fifty_identifiers_and_labels_that_only_look_like_ours_are_taken(world: World) -> None:
    speakers = known(**{"s1": [f"x{n}" for n in range(24)], "S1 Anna": [f"y{n}" for n in range(25)], "SPEAKER": ["z"]})
    heard = world.hear(SENTENCE, config(speakers=speakers, speaker_sensitivity=0.5, prefer_current_speaker=True))
    assert heard.turns() == ["S1"]
    assert heard.warnings()[0].endswith(f"50 {WARNED}")


# ── realtime ──


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server for jobs and sessions, whose words come from a scripted recogniser, one each second."""
    settings = sleeper.environment() | {"SOTTOVOCE_ROLES": "api,batch,realtime"}
    with Server(tmp_path_factory.mktemp("live"), **settings) as server:
        yield World(server)


def live(world: World, media: Path, key: str | None = None, path: str = "/v2", **members: Any) -> list[dict[str, Any]]:
    """The messages of a session that hears *media*."""
    audio = np.concatenate([block[0] for block in decode(media)])
    start = {
        "message": "StartRecognition",
        "audio_format": {"type": "raw", "encoding": "pcm_s16le", "sample_rate": 16_000},
        "transcription_config": config(**members)["transcription_config"],
    }
    url = world.server.url.replace("http", "ws") + path
    with connect(url, additional_headers={"Authorization": f"Bearer {key or world.server.key}"}) as socket:
        socket.send(json.dumps(start))
        got = [json.loads(socket.recv(timeout=PATIENCE))]
        while got[-1]["message"] != "RecognitionStarted":
            got.append(json.loads(socket.recv(timeout=PATIENCE)))
        socket.send((audio * 32_767).astype("<i2").tobytes())
        socket.send(json.dumps({"message": "EndOfStream", "last_seq_no": 1}))
        while got[-1]["message"] != "EndOfTranscript":
            got.append(json.loads(socket.recv(timeout=PATIENCE)))
    return got


def said(got: Sequence[dict[str, Any]]) -> list[str]:
    """The labels of the final words, those that follow each other once."""
    finals = [body for body in got if body["message"] == "AddTranscript"]
    return [
        label for label, _ in groupby(item["alternatives"][0]["speaker"] for body in finals for item in body["results"])
    ]


def found(got: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """The identifiers of the SpeakersResult, by label."""
    (result,) = [body for body in got if body["message"] == "SpeakersResult"]
    return {each["label"]: each["speaker_identifiers"] for each in result["speakers"]}


def warned(got: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(body["type"], body["reason"]) for body in got if body["message"] == "Warning"]


def test_a_session_labels_speakers_as_a_job_does(both: World) -> None:
    assert said(live(both, TALK)) == both.hear(TALK, config()).turns() == ["S1", "S2", "S1", "S2", "S1"]


def test_a_session_knows_a_voice_of_a_job(both: World) -> None:
    identifiers = both.identifiers
    got = live(both, OTHER_TALK, speakers=known(Anna=[*identifiers["S1"], "v1.x"], Bert=identifiers["S2"]))
    assert said(got) == ["S1", "Anna", "Bert", "S1", "Anna"]
    ((kind, reason),) = warned(got)
    assert kind == "speaker_id"
    assert reason.startswith("1 speaker identifier is ignored")


def test_a_job_knows_a_voice_of_a_session(both: World) -> None:
    enrolled = found(live(both, TALK, get_speakers=True))
    assert list(enrolled) == ["S1", "S2"]
    assert all(IDENTIFIER.fullmatch(each) for every in enrolled.values() for each in every)
    speakers = known(Anna=enrolled["S1"], Bert=enrolled["S2"])
    heard = both.hear(OTHER_TALK, config(speakers=speakers))
    assert heard.turns() == ["S1", "Anna", "Bert", "S1", "Anna"]
    assert heard.warnings() == []
    assert said(live(both, OTHER_TALK, speakers=speakers)) == heard.turns()


def test_identifiers_of_a_session_are_good_in_their_own_project_alone(both: World) -> None:
    enrolled = found(live(both, SENTENCE, get_speakers=True))
    got = live(both, SENTENCE, both.neighbour, speakers=known(Anna=enrolled["S1"]))
    assert said(got) == ["S1"]
    assert [kind for kind, _ in warned(got)] == ["speaker_id"]
    assert not any(each in both.server.log.read_text() for each in enrolled["S1"])


# ── V1 ──


def test_v1_names_voices_by_their_pitch(world: World) -> None:
    """Its default is to tell speakers apart."""
    url = f"{world.server.url}/v1.0/user/1/jobs/"
    params = {"auth_token": world.server.key}

    def post(media: Path, **fields: str) -> str:
        with media.open("rb") as file:
            data = {"model": "en-US", "notification": "none", **fields}
            answer = httpx.post(
                url,
                params=params,
                data=data,
                files={"data_file": (media.name, file)},
                timeout=PATIENCE,
                verify=tls(),
            )
        assert answer.status_code == 200, answer.text
        return f"{url}{answer.json()['id']}/"

    def get(place: str, **more: str) -> httpx.Response:
        return httpx.get(place, params={**params, **more}, timeout=PATIENCE, verify=tls())

    def ended(place: str) -> bool:
        return bool(get(place).json()["job"]["job_status"] == "done")

    talk, off = post(TALK), post(SENTENCE, diarisation="false")
    until(lambda: ended(talk), "end of the job")
    shown = get(f"{talk}transcript").json()
    assert [turn["name"] for turn in shown["speakers"]] == ["F1", "M1", "F1", "M1", "F1"]
    assert {turn["confidence"] for turn in shown["speakers"]} == {None}
    spans = [(float(turn["time"]), float(turn["time"]) + float(turn["duration"])) for turn in shown["speakers"]]
    assert spans == sorted(spans)
    words = [word for word in shown["words"] if word["confidence"] is not None]
    assert all(any(start <= float(word["time"]) <= end for start, end in spans) for word in words)
    text = get(f"{talk}transcript", format="txt").text
    assert re.findall(r"^SPEAKER: (.*)$", text, re.MULTILINE) == ["F1", "M1", "F1", "M1", "F1"]
    until(lambda: ended(off), "end of the job")
    assert get(f"{off}transcript").json()["speakers"] == []


# ── the vendor's clients ──


def test_the_async_client_gets_speakers_and_names_them(world: World) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from speechmatics.batch import AsyncClient, JobConfig, JobType, TranscriptionConfig

    async def run() -> None:
        async with AsyncClient(api_key=world.server.key, url=f"{world.server.url}/v2") as client:

            async def heard(media: Path, **members: Any) -> Any:
                wanted = TranscriptionConfig(language="en", diarization="speaker", speaker_diarization_config=members)
                job = await client.submit_job(
                    str(media), config=JobConfig(type=JobType.TRANSCRIPTION, transcription_config=wanted)
                )
                found = await client.wait_for_completion(job.id, timeout=PATIENCE)
                info = await client.get_job_info(job.id)
                assert info.config.transcription_config.speaker_diarization_config == members
                return found

            first = await heard(SENTENCE, get_speakers=True)
            (speaker,) = first.speakers
            assert speaker.label == "S1"
            again = await heard(SENTENCE, speakers=known(Anna=speaker.speaker_identifiers))
            assert {result.alternatives[0].speaker for result in again.results} == {"Anna"}
            assert again.transcript_text.startswith("SPEAKER Anna: ")

    asyncio.run(run())


def test_the_sync_client_tells_speakers_apart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from speechmatics.batch import Client, TranscriptionConfig

    monkeypatch.setenv("SPEECHMATICS_BATCH_URL", f"{world.server.url}/v2/")
    monkeypatch.setenv("SPEECHMATICS_API_KEY", world.server.key)
    wanted = TranscriptionConfig(
        language="en", diarization="speaker", speaker_diarization_config={"get_speakers": True}
    )
    with Client() as client:
        found = client.transcribe(str(SENTENCE), transcription_config=wanted, wait=60)
    assert [speaker.label for speaker in found.speakers or ()] == ["S1"]


def test_the_old_library_tells_speakers_apart(world: World) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from speechmatics.batch_client import BatchClient
        from speechmatics.models import BatchSpeakerDiarizationConfig, BatchTranscriptionConfig, ConnectionSettings

        wanted = BatchTranscriptionConfig(
            language="en",
            diarization="speaker",
            speaker_diarization_config=BatchSpeakerDiarizationConfig(speaker_sensitivity=0.6),
        )
        with BatchClient(ConnectionSettings(url=world.server.url, auth_token=world.server.key)) as client:
            job_id = client.submit_job(str(SENTENCE), wanted)
            found = client.wait_for_completion(job_id, transcription_format="json-v2")
            text = client.get_job_result(job_id, "txt")
    assert {item["alternatives"][0]["speaker"] for item in found["results"]} == {"S1"}
    assert text.startswith("SPEAKER: S1\n")


def test_the_old_command_tells_speakers_apart(world: World, tmp_path: Path) -> None:
    flags = ["--url", f"{world.server.url}/v2", "--auth-token", world.server.key, "--lang", "en"]
    ran = subprocess.run(
        [
            Path(sys.executable).parent / "speechmatics",
            "batch",
            "transcribe",
            *flags,
            "--diarization",
            "speaker",
            SENTENCE,
        ],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert ran.returncode == 0, ran.stderr
    assert "SPEAKER: S1" in ran.stdout


def test_nothing_went_wrong_inside(world: World) -> None:
    assert [line for line in world.server.lines() if line["level"] in {"error", "critical"} or "error" in line] == []
