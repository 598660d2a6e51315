"""What a job has beyond the contract, through a real server (docs/additions.md)."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docx
import httpx
import pytest

from sottovoce.audio.playback import HEADER, PER_SECOND
from sottovoce.web.docs.addition_answers import DeliveryEntry, SpeakerNamesResponse
from tests.contract.failures import UNKNOWN
from tests.servers import Server, contents, tls, until

pytestmark = pytest.mark.system

AUDIO = Path(__file__).parents[1] / "fixtures" / "audio"
STEREO = AUDIO / "stereo_44k.wav"
CHANNELS = {"type": "transcription", "transcription_config": {"language": "en", "diarization": "channel"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("additions"), SOTTOVOCE_NOTIFICATION_PAUSES="0.2") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as made:
        yield made


@pytest.fixture(scope="module")
def job(server: Server) -> str:
    """A job with two channels, that is done."""
    submitted = server.submit(STEREO, CHANNELS)
    assert server.wait(submitted)["status"] == "done"
    return submitted


def put(client: httpx.Client, job: str, body: Any) -> httpx.Response:
    return client.put(f"/v2/jobs/{job}/speaker-names", json=body)


def test_names_are_shown_in_formats_for_people_only_on_request(client: httpx.Client, server: Server, job: str) -> None:
    before = {form: server.transcript(job, form) for form in ("json-v2", "txt", "srt", "vtt")}
    names = {"speakers": {}, "channels": {"channel_1": "Anna", "channel_2": "Dr. Bauer"}}
    assert client.get(f"/v2/jobs/{job}/speaker-names").json() == {"speakers": {}, "channels": {}}
    answer = put(client, job, names)
    assert answer.json() == client.get(f"/v2/jobs/{job}/speaker-names").json() == names
    SpeakerNamesResponse.model_validate(answer.json())
    assert {form: server.transcript(job, form) for form in before} == before

    def named(form: str) -> httpx.Response:
        return client.get(f"/v2/jobs/{job}/transcript", params={"format": form, "speaker_names": "true"})

    assert named("json-v2").json() == before["json-v2"]
    assert re.findall("(?m)^(Anna|Dr. Bauer): ", named("srt").text)[:2] == ["Anna", "Dr. Bauer"]
    assert re.findall("<v (.*?)>", named("vtt").text)[:2] == ["Anna", "Dr. Bauer"]
    spoken = re.sub("(Anna|Dr. Bauer):?", "", " ".join(_words(named("srt").text)))
    assert spoken.split() == _words(before["srt"]), "the words are the same"
    text = before["txt"].replace("CHANNEL: channel_1", "CHANNEL: Anna").replace("channel_2", "Dr. Bauer")
    assert named("txt").text == text != before["txt"]
    shown = [each.text for each in docx.Document(io.BytesIO(named("docx").content)).paragraphs]
    assert any(line.startswith("Anna  0:") for line in shown)
    assert client.get(f"/v2/jobs/{job}/transcript", params={"speaker_names": "maybe"}).status_code == 422
    assert put(client, job, {}).json() == {"speakers": {}, "channels": {}}
    assert {form: named(form).text for form in ("txt", "srt", "vtt")} == {
        form: before[form] for form in ("txt", "srt", "vtt")
    }


def _words(srt: str) -> list[str]:
    """The words of subtitles, without numbers and times."""
    return [word for cue in srt.split("\n\n") for line in cue.split("\n")[2:] for word in line.split()]


def test_names_of_other_labels_and_of_other_jobs_are_refused(client: httpx.Client, server: Server, job: str) -> None:
    refused = put(client, job, {"channels": {"channel_3": "Carl"}})
    assert (refused.status_code, refused.json()["error"]) == (400, "Bad Request")
    assert "channel_1, channel_2" in refused.json()["detail"]
    assert put(client, job, {"channels": {"channel_1": "x" * 300_000}}).status_code == 413
    assert put(client, UNKNOWN, {}).status_code == 404
    project = client.post("/v1/projects", json={"name": "second"}).json()["project_id"]
    key = client.post("/v1/api-keys", json={"name": "next door", "project_id": project}).json()["key_value"]
    with httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {key}"}, verify=tls()) as stranger:
        assert stranger.get(f"/v2/jobs/{job}/speaker-names").status_code == 404
        assert put(stranger, job, {"channels": {"channel_1": "Eve"}}).status_code == 404
    assert client.get(f"/v2/jobs/{job}/speaker-names").json()["channels"] == {}


def test_peaks_and_playback_are_there_with_the_transcript(client: httpx.Client, server: Server, job: str) -> None:
    peaks = client.get(f"/v2/jobs/{job}/peaks").content
    magic, version, channels, rate, count = HEADER.unpack_from(peaks)
    assert (magic, version, channels, rate) == (b"SVPK", 1, 2, PER_SECOND)
    assert len(peaks) == HEADER.size + channels * count * 2
    assert client.get(f"/v2/jobs/{job}/playback").content == STEREO.read_bytes(), "browsers play WAV"
    telephone = server.submit(AUDIO / "speech.amr")
    assert server.wait(telephone)["status"] == "done"
    whole = client.get(f"/v2/jobs/{telephone}/playback")
    assert whole.headers["content-type"] == "audio/webm"
    assert whole.content[:4] == b"\x1a\x45\xdf\xa3"
    for asked, part in (("bytes=100-199", whole.content[100:200]), ("bytes=-50", whole.content[-50:])):
        answer = client.get(f"/v2/jobs/{telephone}/playback", headers={"range": asked})
        assert (answer.status_code, answer.content) == (206, part)
    folder = server.data / "eu1" / "blobs" / "jobs" / telephone
    assert {"peaks", "playback"} <= {path.name for path in folder.iterdir()}
    client.delete(f"/v2/jobs/{telephone}")
    assert not folder.exists()
    for path in ("peaks", "playback"):
        assert client.get(f"/v2/jobs/{telephone}/{path}").status_code == 410


def test_deliveries_are_listed_and_failed_ones_are_sent_again(client: httpx.Client, server: Server) -> None:
    notified = {**CHANNELS, "notification_config": [{"url": "http://receiver.invalid/secret-path", "contents": []}]}
    job = server.submit(STEREO, notified)
    assert server.wait(job)["status"] == "done"

    def failed() -> dict[str, Any] | None:
        (found,) = client.get(f"/v2/jobs/{job}/deliveries").json()["deliveries"]
        return found if found["state"] == "failed" else None

    found = until(failed, "end of the delivery")
    DeliveryEntry.model_validate(found)
    assert (found["kind"], found["target"]) == ("notification", "http://receiver.invalid")
    assert found["outcome"]
    again = client.post(f"/v2/jobs/{job}/deliveries/{found['id']}/retry")
    assert (again.status_code, again.json()["state"]) == (200, "waiting")
    assert until(failed, "end of the second round")["attempts"] > found["attempts"]
    for path in ("nothing", "a" * 70, "%00"):
        assert client.post(f"/v2/jobs/{job}/deliveries/{path}/retry").status_code == 404
    other = server.submit(STEREO, CHANNELS)
    assert client.post(f"/v2/jobs/{other}/deliveries/{found['id']}/retry").status_code == 404
    assert client.get(f"/v2/jobs/{other}/deliveries").json() == {"deliveries": []}


def test_names_go_with_their_job(client: httpx.Client, server: Server) -> None:
    job = server.submit(STEREO, CHANNELS)
    assert client.get(f"/v2/jobs/{job}/speaker-names", params={"wait": "0"}).status_code == 404
    assert server.wait(job)["status"] == "done"
    assert put(client, job, {"channels": {"channel_1": "Wilhelmina"}}).status_code == 200
    client.delete(f"/v2/jobs/{job}")
    for answer in (client.get(f"/v2/jobs/{job}/speaker-names"), put(client, job, {})):
        assert (answer.status_code, answer.json()["error"]) == (410, "File Expired")
    assert not [path for path, content in contents(server.home) if b"Wilhelmina" in content]
