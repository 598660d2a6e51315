"""Models come whole, checked and once, whatever happens on the way. A real server on loopback stands in for the hub."""

import hashlib
import ipaddress
import json
import os
import random
import shutil
import signal
import ssl
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sottovoce.engines.models.catalogue import CATALOGUE, of_repository
from sottovoce.engines.models.hub_client import Hub as Client
from sottovoce.engines.models.store import SPARE, ModelFault, ModelStore, Progress, Source
from tests.hub import STEP, Hub, Repository
from tests.servers import until
from tests.unknown_files import EMPTIED, empty_the_table

TINY = CATALOGUE["whisper-tiny"]
WANTED = {"config.json", "model.bin", "tokenizer.json", "vocabulary.txt"}
PARAKEET = CATALOGUE["parakeet-tdt-0.6b-v3"]


def random_bytes(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def whisper_files(seed: int = 1) -> dict[str, bytes]:
    return {
        ".gitattributes": b"*.bin filter=lfs",
        "README.md": b"# a model",
        "config.json": b'{"lang_ids": []}',
        "model.bin": random_bytes(seed, 3_000_000),
        "tokenizer.json": random_bytes(seed + 1, 20_000),
        "vocabulary.txt": b"one\ntwo\n",
        "../escaped.json": b"outside",
        "deep/model.bin": b"not this one",
    }


def parakeet_files() -> dict[str, bytes]:
    graphs = {
        "encoder-model.int8.onnx": 30_000,
        "decoder_joint-model.int8.onnx": 12_000,
        "encoder-model.onnx": 13_000,
        "encoder-model.onnx.data": 90_000,
        "decoder_joint-model.onnx": 14_000,
        "nemo128.onnx": 11_000,
    }
    files = {name: random_bytes(size, size) for name, size in graphs.items()}
    return files | {"config.json": b'{"model_type": "nemo-conformer-tdt"}', "vocab.txt": b"a 0\n<blk> 1\n"}


@pytest.fixture
def hub():
    with Hub() as hub:
        hub.repositories[TINY.repository] = Repository(whisper_files(), commit=TINY.revision)
        hub.repositories[PARAKEET.repository] = Repository(parakeet_files(), commit=PARAKEET.revision)
        yield hub


@pytest.fixture
def shelf(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    empty_the_table(monkeypatch)


def source(hub: Hub, **changes) -> Source:
    return replace(Source(url=hub.url, pause=0.0), **changes)


def listed(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def missing_bytes(hub: Hub) -> int:
    return sum(len(content) for name, content in hub.repositories[TINY.repository].files.items() if name in WANTED)


def test_a_model_of_the_catalogue_comes_with_what_its_engine_needs_and_nothing_else(hub, shelf):
    pulled = shelf.pull("whisper-tiny", source(hub))
    folder = shelf.path("whisper-tiny")
    assert listed(folder) == WANTED | {"manifest.json"}
    for name in WANTED:
        assert (folder / name).read_bytes() == hub.repositories[TINY.repository].files[name]
    assert (pulled.commit, pulled.size, pulled.fetched) == (TINY.revision, missing_bytes(hub), missing_bytes(hub))
    assert shelf.present() == (TINY,)
    assert {seen.agent.partition("/")[0] for seen in hub.seen} == {"sottovoce"}
    assert not (shelf.folder.parent / "escaped.json").exists()


def test_the_manifest_records_the_commit_and_every_checksum(hub, shelf):
    shelf.pull("whisper-tiny", source(hub))
    manifest = json.loads((shelf.path("whisper-tiny") / "manifest.json").read_bytes())
    files = hub.repositories[TINY.repository].files
    assert manifest["commit"] == TINY.revision
    assert manifest["repository"] == TINY.repository
    assert {each["name"]: (each["size"], each["sha256"]) for each in manifest["files"]} == {
        name: (len(files[name]), hashlib.sha256(files[name]).hexdigest()) for name in WANTED
    }
    assert hub.url not in json.dumps(manifest)


def test_what_is_here_is_not_fetched_again(hub, shelf):
    shelf.pull("whisper-tiny", source(hub))
    bytes_then = dict(hub.sent)
    manifest = shelf.path("whisper-tiny") / "manifest.json"
    written = manifest.stat().st_mtime_ns
    assert shelf.pull("whisper-tiny", source(hub)).fetched == 0
    assert hub.sent == bytes_then
    assert manifest.stat().st_mtime_ns == written


def test_progress_rises_to_the_whole(hub, shelf):
    heard: list[Progress] = []
    shelf.pull("whisper-tiny", source(hub), heard.append)
    fetching = [each for each in heard if each.step == "fetching"]
    done = [each.done for each in fetching]
    assert heard[0].step == "asking"
    assert done == sorted(done)
    assert done[-1] == fetching[-1].total == missing_bytes(hub)


@pytest.mark.parametrize(
    ("quantization", "expected"),
    [
        (None, {"encoder-model.int8.onnx", "decoder_joint-model.int8.onnx"}),
        ("int8", {"encoder-model.int8.onnx", "decoder_joint-model.int8.onnx"}),
        ("fp32", {"encoder-model.onnx", "encoder-model.onnx.data", "decoder_joint-model.onnx"}),
    ],
)
def test_onnx_files_come_in_the_quantization_asked_for(hub, shelf, quantization, expected):
    shelf.pull(PARAKEET.name, source(hub), quantization=quantization)
    assert listed(shelf.path(PARAKEET.name)) == expected | {"config.json", "vocab.txt", "manifest.json"}
    assert shelf.present() == (PARAKEET,)


def test_another_quantization_takes_the_place_of_the_first_and_keeps_the_operator_s_note(hub, shelf):
    shelf.pull(PARAKEET.name, source(hub))
    (shelf.path(PARAKEET.name) / "sottovoce.json").write_text('{"grade": 99}')
    shelf.pull(PARAKEET.name, source(hub), quantization="fp32")
    assert "encoder-model.int8.onnx" not in listed(shelf.path(PARAKEET.name))
    assert len(hub.bodies("vocab.txt")) == 1  # the same in both
    assert [model.grade for model in shelf.present()] == [99]
    assert shelf.verify(PARAKEET.name).sound


# ── interruptions ──


def test_a_pull_that_was_killed_goes_on_where_it_was(hub, shelf):
    hub.faults.hold["model.bin"] = 1_500_000
    script = EMPTIED + (
        "import sys; from pathlib import Path; from sottovoce.engines.models.store import ModelStore, Source\n"
        "ModelStore(Path(sys.argv[1])).pull('whisper-tiny', Source(url=sys.argv[2]))"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(shelf.folder), hub.url])
    part = shelf.folder / ".pulling" / "whisper-tiny" / "new" / "model.bin"
    try:
        until(lambda: hub.held.is_set() and part.exists() and part.stat().st_size >= 1_490_000, "half of the file")
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    hub.release.set()
    here = part.stat().st_size
    assert shelf.present() == ()
    assert shelf.unfinished() == {"whisper-tiny": sum(path.stat().st_size for path in part.parent.iterdir())}
    pulled = shelf.pull("whisper-tiny", source(hub))
    assert [seen.bytes_from for seen in hub.bodies("model.bin")] == [None, here]
    assert len(hub.bodies("config.json")) == 1  # it was whole
    assert pulled.fetched < missing_bytes(hub) - 1_400_000
    assert (shelf.path("whisper-tiny") / "model.bin").read_bytes() == random_bytes(1, 3_000_000)
    assert shelf.unfinished() == {}


def test_broken_connections_are_taken_up_again_without_a_byte_twice(hub, shelf):
    hub.faults.cut["model.bin"] = [1_000_000, 1_000_000]
    shelf.pull("whisper-tiny", source(hub))
    step = -(-1_000_000 // STEP) * STEP  # what came of each
    assert [seen.bytes_from for seen in hub.bodies("model.bin")] == [None, step, 2 * step]
    assert hub.sent["model.bin"] == 3_000_000
    assert shelf.verify("whisper-tiny").sound


def test_a_server_that_knows_no_ranges_sends_the_file_again(hub, shelf):
    hub.faults.ranges = False
    hub.faults.cut["model.bin"] = [1_000_000]
    shelf.pull("whisper-tiny", source(hub))
    assert [seen.bytes_from is None for seen in hub.bodies("model.bin")] == [True, False]
    assert shelf.verify("whisper-tiny").sound


def test_a_server_that_is_busy_is_asked_again(hub, shelf):
    hub.faults.answers["/resolve/"] = [503, 429]
    shelf.pull("whisper-tiny", source(hub))
    assert shelf.verify("whisper-tiny").sound


def test_who_gains_nothing_gives_up_and_keeps_what_is_here(hub, shelf):
    hub.faults.ranges = False
    hub.faults.cut["model.bin"] = [1_000_000] * 20
    with pytest.raises(ModelFault, match=r"^whisper-tiny: model\.bin: .*kept for the next pull$"):
        shelf.pull("whisper-tiny", source(hub, patience=3))
    assert len(hub.bodies("model.bin")) == 5  # the first one gained something, then patience runs out
    assert shelf.present() == ()
    assert shelf.unfinished()["whisper-tiny"] > 900_000


def test_what_is_left_of_another_commit_is_not_mixed_in(hub, shelf):
    model = replace(TINY, revision="main")
    hub.faults.spoilt.add("tokenizer.json")
    hub.faults.cut["model.bin"] = [1_000_000] * 20
    hub.faults.ranges = False
    with pytest.raises(ModelFault):
        shelf.pull(model, source(hub, patience=0))
    hub.faults.ranges, hub.faults.cut, hub.faults.spoilt = True, {}, set()
    hub.repositories[TINY.repository] = Repository(whisper_files(seed=7), commit="d" * 40)
    shelf.pull(model, source(hub))
    assert (shelf.path("whisper-tiny") / "model.bin").read_bytes() == random_bytes(7, 3_000_000)
    assert len(hub.bodies("config.json")) == 1  # whole, and the same in both
    assert shelf.present()[0].revision == "d" * 40


def test_a_part_that_is_not_of_the_file_is_found_out(hub, shelf):
    new = shelf.folder / ".pulling" / "whisper-tiny" / "new"
    new.mkdir(parents=True)
    (new.parent / "commit").write_text(TINY.revision)
    (new / "model.bin").write_bytes(b"x" * 1_000)
    (new / "stray.bin").write_bytes(b"x")
    with pytest.raises(ModelFault, match=r"model\.bin does not match the checksum"):
        shelf.pull("whisper-tiny", source(hub))
    (new / "model.bin").write_bytes(b"x" * 4_000_000)  # longer than it may be
    shelf.pull("whisper-tiny", source(hub))
    assert shelf.verify("whisper-tiny").sound


# ── checksums ──


@pytest.mark.parametrize("name", ["model.bin", "config.json"])
def test_a_file_that_does_not_fit_its_checksum_is_removed_and_named(hub, shelf, name):
    hub.faults.spoilt.add(name)
    with pytest.raises(ModelFault, match=rf"^whisper-tiny: {name} does not match the checksum") as fault:
        shelf.pull("whisper-tiny", source(hub))
    assert "\n" not in str(fault.value)
    assert shelf.present() == ()
    assert not (shelf.folder / ".pulling" / "whisper-tiny" / "new" / name).exists()
    hub.faults.spoilt.clear()
    shelf.pull("whisper-tiny", source(hub))
    assert shelf.verify("whisper-tiny").sound


def test_a_mirror_that_describes_no_checksums_is_asked_file_by_file(hub, shelf):
    hub.faults.sizes = False
    shelf.pull("whisper-tiny", source(hub))
    assert sum(seen.method == "HEAD" for seen in hub.seen) >= len(WANTED)
    assert shelf.verify("whisper-tiny").sound
    hub.faults.spoilt.add("model.bin")
    with pytest.raises(ModelFault, match="checksum"):
        ModelStore(shelf.folder / "other").pull("whisper-tiny", source(hub))


def test_the_name_of_a_pointer_is_not_taken_for_the_file_s(hub, shelf):
    entries = [hub.repositories[TINY.repository].described(name, sizes=True) for name in WANTED]
    for entry in entries:
        if "lfs" in entry:
            del entry["lfs"]["sha256"]
    hub.faults.description = json.dumps({"sha": TINY.revision, "siblings": entries}).encode()
    shelf.pull("whisper-tiny", source(hub))
    assert sum(seen.method == "HEAD" for seen in hub.seen) == sum("lfs" in entry for entry in entries)


def test_more_bytes_than_announced_are_not_taken(hub, shelf):
    entries = [hub.repositories[TINY.repository].described(name, sizes=True) for name in WANTED]
    for entry in entries:
        if entry["rfilename"] == "model.bin":
            entry["lfs"]["size"] = 50_000
    hub.faults.description = json.dumps({"sha": TINY.revision, "siblings": entries}).encode()
    with pytest.raises(ModelFault, match="longer than the 50000 bytes"):
        shelf.pull("whisper-tiny", source(hub))
    assert shelf.unfinished()["whisper-tiny"] < 100_000


# ── two at once ──


def test_two_pulls_at_once_fetch_the_model_once(hub, shelf):
    hub.faults.hold["model.bin"] = 1_000_000
    outcomes: list[int] = []
    waiting = threading.Event()

    def listen(progress: Progress) -> None:
        if progress.step == "waiting":
            waiting.set()

    def pull() -> None:
        outcomes.append(ModelStore(shelf.folder).pull("whisper-tiny", source(hub), listen).fetched)

    threads = [threading.Thread(target=pull) for _ in range(2)]
    threads[0].start()
    assert hub.held.wait(60)
    threads[1].start()
    assert waiting.wait(60)
    with pytest.raises(ModelFault, match="at the moment"):
        shelf.remove("whisper-tiny")
    hub.release.set()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == [0, missing_bytes(hub)]
    assert len(hub.bodies("model.bin")) == 1
    assert shelf.verify("whisper-tiny").sound


# ── refusals ──


def test_offline_is_refused_at_once_and_says_what_to_do(hub, shelf):
    with pytest.raises(ModelFault, match=r"offline.*copy its folder whisper-tiny into .*docs/models\.md"):
        shelf.pull("whisper-tiny", source(hub, offline=True))
    assert hub.seen == []
    with pytest.raises(ModelFault, match="offline"):
        Client(source(hub, offline=True))


def test_offline_a_model_that_is_here_is_as_good_as_pulled(hub, shelf):
    shelf.pull(PARAKEET.name, source(hub))
    asked = len(hub.seen)
    offline = source(hub, offline=True)
    assert shelf.pull(PARAKEET.name, offline).fetched == 0
    assert shelf.pull(PARAKEET.name, offline, quantization="int8").model == PARAKEET
    with pytest.raises(ModelFault, match="offline"):
        shelf.pull(PARAKEET.name, offline, quantization="fp32")
    assert len(hub.seen) == asked


def test_a_hub_that_is_not_there_is_named(shelf):
    with Hub() as gone:
        url = gone.url
    with pytest.raises(ModelFault, match=r"^whisper-tiny: 127\.0\.0\.1:\d+ cannot be reached: .*refused") as fault:
        shelf.pull("whisper-tiny", Source(url=url, pause=0.0))
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    ("repository", "revision", "reason"),
    [
        (
            "nobody/nothing",
            "main",
            "answers 401: it is private, wants its terms accepted, or does not exist; give a token",
        ),
        (TINY.repository, "v9", "answers 404: it has no such repository, revision or file"),
    ],
)
def test_what_the_hub_does_not_have_is_refused(hub, shelf, repository, revision, reason):
    model = of_repository(repository, "mine", "whisper", revision, frozenset())
    with pytest.raises(ModelFault, match=reason):
        shelf.pull(model, source(hub))
    assert shelf.present() == ()
    assert shelf.unfinished() == {}


@pytest.mark.parametrize("status", [500, 418, 404, 403])
def test_any_other_answer_is_told(hub, shelf, status):
    hub.faults.answers["/api/"] = [status]
    with pytest.raises(ModelFault, match=f"answers {status}"):
        shelf.pull("whisper-tiny", source(hub))


def test_a_gated_model_needs_the_right_token_and_the_store_never_sees_it(hub, shelf):
    hub.repositories[TINY.repository].key = "hf_secret"
    with pytest.raises(ModelFault, match=r"401.*give a token"):
        shelf.pull("whisper-tiny", source(hub))
    with pytest.raises(ModelFault, match=r"403.*the token does not permit it") as fault:
        shelf.pull("whisper-tiny", source(hub, token="hf_wrong"))
    assert "hf_wrong" not in str(fault.value)
    shelf.pull("whisper-tiny", source(hub, token="hf_secret"))
    assert {seen.authorization for seen in hub.seen if seen.store} == {None}
    assert "hf_secret" not in (shelf.path("whisper-tiny") / "manifest.json").read_text()


@pytest.mark.parametrize(
    "body", [b"<html>log in</html>", b"[]", b'{"sha": 7}', b'{"sha": "x", "siblings": []}', b"[" * 99_999]
)
def test_an_answer_that_is_no_hub_s_is_refused(hub, shelf, body):
    hub.faults.description = body
    with pytest.raises(ModelFault, match=r"not a model hub|names no commit"):
        shelf.pull("whisper-tiny", source(hub))


@pytest.mark.parametrize("siblings", ["7", "[7, null, {}]", '[{"rfilename": 7}]', '{"config.json": 1}'])
def test_a_list_of_files_that_is_none_lacks_them(hub, shelf, siblings):
    hub.faults.description = f'{{"sha": "{TINY.revision}", "siblings": {siblings}}}'.encode()
    with pytest.raises(ModelFault, match=r"it lacks config\.json"):
        shelf.pull("whisper-tiny", source(hub))


def test_a_description_without_end_is_not_read(hub, shelf, monkeypatch):
    monkeypatch.setattr("sottovoce.engines.models.hub_client.MAX_DESCRIPTION", 100)
    with pytest.raises(ModelFault, match="in more than 100 bytes"):
        shelf.pull("whisper-tiny", source(hub))


def test_a_repository_without_the_engine_s_files_is_refused(hub, shelf):
    del hub.repositories[TINY.repository].files["tokenizer.json"]
    with pytest.raises(ModelFault, match=r"^whisper-tiny: it lacks tokenizer\.json$"):
        shelf.pull("whisper-tiny", source(hub))
    with pytest.raises(ModelFault, match=r"it lacks config\.json, vocab\.txt"):
        shelf.pull(replace(PARAKEET, repository="no/onnx"), _with(hub, "no/onnx", PARAKEET.revision))


def _with(hub: Hub, repository: str, commit: str) -> Source:
    hub.repositories[repository] = Repository({"README.md": b""}, commit=commit)
    return source(hub)


def test_another_commit_than_the_pinned_one_is_refused(hub, shelf):
    hub.faults.description = json.dumps({"sha": "d" * 40, "siblings": []}).encode()
    with pytest.raises(ModelFault, match="another commit"):
        shelf.pull("whisper-tiny", source(hub))
    hub.faults.description = None
    hub.repositories[TINY.repository].commit = "d" * 40
    with pytest.raises(ModelFault, match="404"):  # the hub's own answer
        shelf.pull("whisper-tiny", source(hub))


def test_no_room_is_found_out_beforehand(hub, shelf, monkeypatch):
    usage = shutil.disk_usage(shelf.folder.parent)._replace(free=SPARE + 1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ModelFault, match=r"^whisper-tiny: 0\.00 GB more are needed and 0\.27 GB are free"):
        shelf.pull("whisper-tiny", source(hub))
    assert hub.bodies("model.bin") == []


def test_a_full_disk_in_the_middle_is_told(hub, shelf, monkeypatch):
    monkeypatch.setattr("sottovoce.engines.models.hub_client._Part.append", _no_space)
    with pytest.raises(ModelFault, match="No space left on device; free some space and pull again"):
        shelf.pull("whisper-tiny", source(hub))


def _no_space(*_: object) -> None:
    raise OSError(28, os.strerror(28))


def test_a_folder_that_cannot_be_written_is_told(hub, tmp_path):
    (tmp_path / "models").write_text("a file")
    with pytest.raises(ModelFault, match="cannot be written"):
        ModelStore(tmp_path / "models").pull("whisper-tiny", source(hub))


@pytest.mark.parametrize("place", ["ftp://127.0.0.1/x", "gopher://127.0.0.1/x"])
def test_a_redirect_elsewhere_than_http_is_not_followed(hub, shelf, place):
    hub.faults.location["config.json"] = place
    with pytest.raises(ModelFault, match="cannot be reached"):
        shelf.pull("whisper-tiny", source(hub, patience=0))


def test_redirects_without_end_are_refused(hub, shelf):
    hub.faults.location["config.json"] = f"/{TINY.repository}/resolve/{TINY.revision}/config.json"
    with pytest.raises(ModelFault, match="redirects without end"):
        shelf.pull("whisper-tiny", source(hub))


def test_no_redirect_leads_from_https_to_plain_http(shelf, tmp_path, monkeypatch):
    certificate, context = _certificate(tmp_path)
    with Hub(context) as hub:
        hub.repositories[TINY.repository] = Repository(whisper_files(), commit=TINY.revision)
        with pytest.raises(ModelFault, match=r"cannot be reached.*certificate"):
            shelf.pull("whisper-tiny", source(hub))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with pytest.raises(ModelFault, match="redirects from https to plain http"):
            shelf.pull("whisper-tiny", source(hub, token="hf_secret"))
        assert hub.bodies("model.bin") == []
        assert hub.bodies("config.json")[0].authorization == "Bearer hf_secret"


def _certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """One for 127.0.0.1 that has signed itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    day = timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    return pem, context


# ── own choices ──


def test_a_repository_of_the_operator_s_choice_comes_under_its_own_name(hub, shelf):
    hub.repositories["acme/whisper-de"] = Repository(whisper_files(3), commit="e" * 40)
    model = of_repository("acme/whisper-de", "acme-de", "whisper", "main", frozenset({"de"}))
    shelf.pull(model, source(hub))
    (here,) = shelf.present()
    assert (here.name, here.repository, here.revision) == ("acme-de", "acme/whisper-de", "e" * 40)
    assert (here.languages, here.grade) == (frozenset({"de"}), 50)
    hub.repositories["acme/whisper-de"].commit = "f" * 40  # the branch moved, one file changed
    hub.repositories["acme/whisper-de"].files["config.json"] = b'{"lang_ids": [1]}'
    assert shelf.pull(model, source(hub)).fetched == len(b'{"lang_ids": [1]}')
    assert shelf.present()[0].revision == "f" * 40
    assert len(hub.bodies("model.bin")) == 1


def test_the_hub_s_own_client_understands_the_stand_in(hub, tmp_path, monkeypatch):
    """Else the stand-in would prove nothing about the hub."""
    import huggingface_hub
    from huggingface_hub import constants

    for name in ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_IMPLICIT_TOKEN"):
        monkeypatch.setattr(constants, name, True)
    info = huggingface_hub.HfApi(endpoint=hub.url, token=False).model_info(
        TINY.repository, revision=TINY.revision, files_metadata=True
    )
    large = {sibling.rfilename: sibling.lfs.sha256 for sibling in info.siblings or [] if sibling.lfs}
    assert info.sha == TINY.revision
    assert large["model.bin"] == hashlib.sha256(random_bytes(1, 3_000_000)).hexdigest()
    path = huggingface_hub.snapshot_download(
        TINY.repository,
        revision=TINY.revision,
        endpoint=hub.url,
        token=False,
        local_dir=tmp_path / "theirs",
        allow_patterns=sorted(WANTED),
        max_workers=1,
    )
    assert (Path(path) / "model.bin").read_bytes() == random_bytes(1, 3_000_000)
    assert (Path(path) / "config.json").read_bytes() == b'{"lang_ids": []}'
