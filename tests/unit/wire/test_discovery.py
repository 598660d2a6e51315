from sottovoce.wire.discovery import LOCALES, Coverage, RegionInfo, features, locales, regions
from sottovoce.wire.v2 import config_mapping


def test_pairs_of_translation_and_stages_are_listed():
    batch = Coverage(
        languages=["en"], translations={"en": ("de",)}, stages={"topic_detection": ("en",), "audio_events": ("music",)}
    )
    shown = features(batch=batch, realtime=Coverage(languages=["en"]))
    assert shown["batch"]["translation"] == [{"version": "latest", "languages": {"en": ["de"]}}]
    assert shown["batch"]["topic_detection"] == [{"version": "latest", "languages": ["en"]}]
    assert shown["batch"]["audio_events"] == [{"version": "latest", "types": ["music"]}]
    assert shown["realtime"]["translation"][0]["languages"] == {}
    assert "topic_detection" not in shown["realtime"]


def test_the_features_have_the_contracts_shape() -> None:
    """Contract `batch-v2.md` §12, with what its JavaScript types add."""
    batch = Coverage(
        languages=["de", "en"], locales={"en": ["en-GB", "en-US"]}, identified=["de", "en"],
    )  # fmt: skip
    assert features(batch=batch, realtime=None) == {
        "metadata": {
            "language_pack_info": {
                "de": {"language_description": "German", "locales": {}},
                "en": {
                    "language_description": "English",
                    "locales": {"en-GB": {"name": "British English"}, "en-US": {"name": "American English"}},
                },
            }
        },
        "batch": {
            "transcription": [
                {"version": "latest", "languages": ["de", "en"], "locales": {"en": ["en-GB", "en-US"]}, "domains": {}}
            ],
            "translation": [{"version": "latest", "languages": {}}],
            "languageid": ["de", "en"],
            "languageId": ["de", "en"],
        },
    }


def test_realtime_has_a_part_of_its_own_and_the_packs_are_those_of_both() -> None:
    body = features(batch=Coverage(languages=["en"]), realtime=Coverage(languages=["de"]))
    assert set(body["metadata"]["language_pack_info"]) == {"de", "en"}
    assert body["realtime"] == {
        "transcription": [{"version": "latest", "languages": ["de"], "locales": {}, "domains": {}}],
        "translation": [{"version": "latest", "languages": {}}],
    }
    assert "batch" not in features(batch=None, realtime=None)


def test_a_language_without_a_pack_is_listed_under_its_own_name() -> None:
    body = features(batch=Coverage(languages=["tlh"]), realtime=None)
    assert body["metadata"]["language_pack_info"]["tlh"]["language_description"] == "tlh"


def test_a_bilingual_pack_has_the_locales_of_its_parts() -> None:
    assert locales("cmn_en", ["en-US", "cmn-Hans"]) == ["cmn-Hans", "en-US"]
    assert locales("en", ["cmn-Hans"]) == []
    assert locales("de", ["en-US"]) == []


def test_locales_are_those_that_a_config_may_ask_for() -> None:
    assert {code: sorted(names) for code, names in LOCALES.items()} == {
        code: sorted(names) for code, names in config_mapping.LOCALES.items()
    }


def test_regions_say_which_one_was_asked() -> None:
    here = RegionInfo(name="eu1", label="EU1", place="Europe", modes=["batch"], url=None)
    there = RegionInfo(name="den1", label="DEN1", place=None, modes=None, url="https://den1.example.org")
    assert regions("eu1", [here, there]) == {
        "region": "eu1",
        "regions": [
            {"name": "eu1", "label": "EU1", "place": "Europe", "modes": ["batch"], "url": None, "here": True},
            {"name": "den1", "label": "DEN1", "place": None, "modes": None, "url": "https://den1.example.org", "here": False},
        ],
    }  # fmt: skip
