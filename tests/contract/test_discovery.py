"""What a region says of itself to who has no key, and whom it serves: applications of three regions over one control database."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from sottovoce import bootstrap
from sottovoce.engines.protocols import Capabilities, Skill
from sottovoce.service.identity import api_keys, workspaces
from sottovoce.service.identity.api_keys import Product
from sottovoce.service.identity.temporary_keys import TokenIssuer, TokenRequest
from sottovoce.service.jobs.capabilities import spells
from sottovoce.service.queue import worker_registry
from sottovoce.service.runtime import Runtime
from sottovoce.settings import load
from sottovoce.transcript.languages import PACKS
from sottovoce.web import app
from tests.servers import CONFIG, until

pytestmark = pytest.mark.system

KEY = "the-key-of-the-tests"
BOTH = frozenset({Skill.TRANSCRIPTION, Skill.LIVE})
ENGINES = (
    Capabilities(engine="small", model="en-us", languages=frozenset({"en"})),
    Capabilities(
        engine="large", model="v3", languages=frozenset({"en", "de", "cy", "tl", "cmn_en"}), identifies_language=True
    ),
)


class Region:
    """The API of one region in this process, and a worker that is only a row."""

    def __init__(self, folder: Path, runner: asyncio.Runner, name: str, **settings: Any) -> None:
        self.name = name
        self._runner = runner
        loaded = load(data_dir=folder, roles="api", region=name, api_key=KEY, **settings)
        self.runtime = Runtime(replace(bootstrap.plan(loaded), inspectors=0))
        self.runtime.start()
        self._app = app.create_app(loaded, self.runtime)

    def has(self, *engines: Capabilities) -> None:
        """A worker with *engines* has been seen, and the API has learned of it."""
        with self.runtime.database.writing() as connection:
            worker_registry.beat(connection, "w1", engines, slots=1)
        until(lambda: set(self.runtime.offers.engines) == set(engines), "capabilities")

    def ask(self, path: str, key: str | None = None, method: str = "GET", **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}

        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, headers=headers, **more)

        return self._runner.run(asked())

    def token(self, product: Product = Product.BATCH) -> str:
        """A temporary key that this region gave in the name of the first key."""
        with self.runtime.control.reading() as connection:
            (key,) = api_keys.list_keys(connection)
        mint = TokenIssuer(self.runtime.control, self.runtime.encryptor, self.name)
        grant = TokenRequest(key_id=key.id, project_id=key.project_id, product=product, ttl=600)
        return str(self._runner.run(mint.make(grant))[0])


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Region]]:
    folder = tmp_path_factory.mktemp("discovery")
    urls = json.dumps({"us1": "https://us1.example.org"})
    with asyncio.Runner() as runner:
        made = {name: Region(folder, runner, name, region_urls=json.loads(urls)) for name in ("eu1", "us1", "au1")}
        try:
            yield made
        finally:
            for region in made.values():
                region.runtime.close()


def told(region: Region, key: str, body: dict[str, Any]) -> bool:
    return bool(region.ask("/v2/jobs", key).json() == body)


def bind(region: Region, names: list[str] | None) -> None:
    with region.runtime.control.writing() as connection:
        workspaces.bind(connection, 1, names)


# ── discovery ──


def test_features_are_what_the_workers_of_the_region_can_do(regions: dict[str, Region]) -> None:
    regions["eu1"].has(*ENGINES)
    body = regions["eu1"].ask("/v1/discovery/features").json()
    assert set(body) == {"metadata", "batch"}, "nobody here is live"
    (transcription,) = body["batch"]["transcription"]
    assert transcription["languages"] == ["cmn_en", "cy", "de", "en", "tl"]
    # contract §6.6: Tagalog is never identified; and nobody says "Mandarin and English" of what they hear
    assert body["batch"]["languageid"] == body["batch"]["languageId"] == ["cy", "de", "en"]
    packs = body["metadata"]["language_pack_info"]
    assert {code: pack["language_description"] for code, pack in packs.items()} == {
        code: PACKS[code].description for code in transcription["languages"]
    }
    for code, names in transcription["locales"].items():
        assert names == list(packs[code]["locales"])
        assert all(map(spells, names)), "only what is really spelled"
    assert regions["us1"].ask("/v1/discovery/features").json()["batch"]["transcription"][0]["languages"] == []


def test_features_are_shown_at_once_when_workers_change(regions: dict[str, Region]) -> None:
    regions["us1"].has(ENGINES[0])
    body = regions["us1"].ask("/v1/discovery/features/").json()  # with a slash as well
    assert body["batch"]["transcription"][0]["languages"] == ["en"]
    assert body["batch"]["languageid"] == []


def test_realtime_is_there_only_where_the_region_has_it_and_an_engine_does(regions: dict[str, Region]) -> None:
    live = Capabilities(engine="live", model="en", languages=frozenset({"en"}), skills=BOTH)
    for name in ("us1", "au1"):
        regions[name].has(*ENGINES, live)
    body = regions["us1"].ask("/v1/discovery/features").json()
    assert body["realtime"]["transcription"][0]["languages"] == ["en"]
    assert "realtime" not in regions["au1"].ask("/v1/discovery/features").json()


def test_regions_say_what_they_are_and_where_the_others_are(regions: dict[str, Region]) -> None:
    regions["au1"].has(*ENGINES)
    body = regions["au1"].ask("/v1/regions").json()
    assert [each["modes"] for each in body["regions"]] == [["batch"]] * 3, "no engine here is live"
    live = Capabilities(engine="live", model="en", languages=frozenset({"en"}), skills=BOTH)
    regions["au1"].has(*ENGINES, live)
    body = regions["au1"].ask("/v1/regions").json()
    assert body["region"] == "au1"
    assert [(each["name"], each["modes"], each["url"], each["here"]) for each in body["regions"]] == [
        ("au1", ["batch"], None, True),
        ("eu1", ["batch", "realtime"], None, False),
        ("us1", ["batch", "realtime"], "https://us1.example.org", False),
    ]


def test_a_region_without_batch_has_no_address_for_jobs(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        live = Region(tmp_path, runner, "live1", region_number=50, region_modes="realtime")
        try:
            assert live.ask("/v2/jobs", KEY).status_code == 404
            assert live.ask("/v1.0/user/1/jobs", KEY).status_code == 404
            assert live.ask("/v1/regions").json()["regions"][0]["modes"] == []
            live.has(Capabilities(engine="live", model="en", languages=frozenset({"en"}), skills=BOTH))
            assert live.ask("/v1/regions").json()["regions"][0]["modes"] == ["realtime"]
            assert "batch" not in live.ask("/v1/discovery/features").json()
        finally:
            live.runtime.close()


# ── binding ──


def test_a_bound_workspace_is_refused_elsewhere_whatever_key_it_shows(regions: dict[str, Region]) -> None:
    eu1, us1 = regions["eu1"], regions["us1"]
    here, there, live = eu1.token(), us1.token(), eu1.token(Product.RT)
    assert us1.ask("/v2/jobs", there).status_code == 200
    bind(eu1, ["eu1", "au1"])
    try:
        detail = "this workspace is not served in region us1, only in eu1, au1"
        for key in (KEY, there, here, live):
            until(partial(told, us1, key, {"code": 403, "error": "Forbidden", "detail": detail}), "the binding to bite")
        form = {"files": {"data_file": b"media"}, "data": {"config": json.dumps(CONFIG)}}
        assert us1.ask("/v2/jobs", KEY, "POST", **form).status_code == 403
        assert us1.ask("/v1/projects", KEY).status_code == 403
        assert us1.ask("/v1/api-keys", KEY, "POST", json={"ttl": 60}).status_code == 403
        # V1 has no such status for it (legacy-v1 §4)
        legacy = us1.ask(f"/v1.0/user/1/jobs?auth_token={KEY}")
        assert (legacy.status_code, legacy.json()["error"]) == (401, "Invalid User Id or Token")
        assert [regions[name].ask("/v2/jobs", KEY).status_code for name in ("eu1", "au1")] == [200, 200]
        assert eu1.ask("/v2/jobs", here).status_code == 200
        assert us1.ask("/v1/regions").status_code == 200
    finally:
        bind(eu1, None)
    until(lambda: us1.ask("/v2/jobs", KEY).status_code == 200, "the end of the binding")
