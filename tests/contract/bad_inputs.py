"""Bad configs and bad media, and what each must be told: data for `bad_requests.py`."""

import json
from pathlib import Path
from typing import Any

AUDIO = Path(__file__).parents[1] / "fixtures" / "audio"
TC = "transcription_config"
HOOK = "https://example.org/hook"
SILENCE = (AUDIO / "silence.wav").read_bytes()
GOOD = {"type": "transcription", "transcription_config": {"language": "en"}}


def tc(**members: Any) -> dict[str, Any]:
    """A good config with *members* in its transcription_config."""
    return {"type": "transcription", "transcription_config": {"language": "en", **members}}


def job(**members: Any) -> dict[str, Any]:
    """A good config with *members* beside its transcription_config."""
    return {**GOOD, **members}


# ── config: fields (name, config, fragment) ──

FIELDS: tuple[tuple[str, Any, str], ...] = (
    ("nothing in it", {}, "type: is required"),
    ("a list", [], "must be a JSON object, got a list"),
    ("null", None, "must be a JSON object, got null"),
    ("a number", 7, "must be a JSON object, got a number"),
    ("a string", "transcription", "must be a JSON object, got a string"),
    ("type null", job(type=None), "type: is required"),
    ("type unknown", job(type="translation"), "type: must be one of"),
    ("type of the wrong case", job(type="Transcription"), "type: must be one of"),
    ("type a number", job(type=1), "type: must be a string"),
    ("no transcription_config", {"type": "transcription"}, f"{TC}: is required"),
    ("transcription_config a list", job(transcription_config=[]), f"{TC}: must be an object"),
    ("no language", job(transcription_config={}), f"{TC}.language: is required"),
    ("language null", tc(language=None), f"{TC}.language: is required"),
    ("language empty", tc(language=""), f"{TC}.language: must be a language code"),
    ("language a path", tc(language="../../etc/passwd"), f"{TC}.language"),
    ("language a list", tc(language=["en"]), f"{TC}.language: must be a string"),
    ("language very long", tc(language="e" * 5000), f"{TC}.language"),
    ("language in another script", tc(language="ру"), f"{TC}.language"),
    ("language with a newline", tc(language="en\n"), f"{TC}.language"),
    ("operating point unknown", tc(operating_point="fast"), f"{TC}.operating_point"),
    ("operating point a number", tc(operating_point=2), f"{TC}.operating_point: must be a string"),
    ("model unknown", tc(model="oak-1"), f"{TC}.model"),
    ("domain with a blank", tc(domain="medi cal"), f"{TC}.domain"),
    ("domain a number", tc(domain=3), f"{TC}.domain"),
    ("locale unknown", tc(output_locale="en-NZ"), f"{TC}.output_locale"),
    ("locale of another language", tc(output_locale="cmn-Hans"), f"{TC}.output_locale"),
    ("diarization unknown", tc(diarization="both"), f"{TC}.diarization"),
    ("diarization removed", tc(diarization="speaker_change"), "removed in July 2024"),
    ("diarization of Realtime", tc(diarization="channel_and_speaker"), "Realtime only"),
    ("diarization true", tc(diarization=True), f"{TC}.diarization: must be a string"),
    ("label with a blank", tc(channel_diarization_labels=["a b"]), f"{TC}.channel_diarization_labels[0]"),
    ("label empty", tc(channel_diarization_labels=[""]), f"{TC}.channel_diarization_labels[0]"),
    ("label in another script", tc(channel_diarization_labels=["ру"]), f"{TC}.channel_diarization_labels[0]"),
    ("labels a string", tc(channel_diarization_labels="a"), f"{TC}.channel_diarization_labels: must be a list"),
    ("101 labels", tc(channel_diarization_labels=["a"] * 101), "at most 100 entries, got 101"),
    ("1001 words", tc(additional_vocab=["a"] * 1001), "at most 1,000 entries, got 1,001"),
    ("vocabulary an object", tc(additional_vocab={"content": "a"}), f"{TC}.additional_vocab: must be a list"),
    ("vocabulary without content", tc(additional_vocab=[{}]), f"{TC}.additional_vocab[0].content: is required"),
    ("vocabulary of numbers", tc(additional_vocab=[1]), f"{TC}.additional_vocab[0]"),
    (
        "sounds_like a string",
        tc(additional_vocab=[{"content": "a", "sounds_like": "b"}]),
        "sounds_like: must be a list",
    ),
    ("sensitivity above 1", tc(punctuation_overrides={"sensitivity": 1.5}), "between 0 and 1, got 1.5"),
    ("sensitivity below 0", tc(punctuation_overrides={"sensitivity": -0.1}), "between 0 and 1"),
    ("sensitivity a string", tc(punctuation_overrides={"sensitivity": "0.5"}), "sensitivity: must be a number"),
    ("a mark of two characters", tc(punctuation_overrides={"permitted_marks": ["?!"]}), "permitted_marks[0]"),
    ("marks a string", tc(punctuation_overrides={"permitted_marks": "."}), "permitted_marks: must be a list"),
    ("entities a string", tc(enable_entities="yes"), f"{TC}.enable_entities: must be true or false"),
    ("entities a number", tc(enable_entities=1), f"{TC}.enable_entities: must be true or false"),
    ("volume above 100", tc(audio_filtering_config={"volume_threshold": 101}), "between 0 and 100"),
    ("volume below 0", tc(audio_filtering_config={"volume_threshold": -1}), "between 0 and 100"),
    ("filtering a number", tc(audio_filtering_config=3), f"{TC}.audio_filtering_config: must be an object"),
    ("a rule without to", tc(transcript_filtering_config={"replacements": [{"from": "a"}]}), "replacements[0].to"),
    (
        "a rule with more",
        tc(transcript_filtering_config={"replacements": [{"from": "a", "to": "b", "x": 1}]}),
        "is not a member that is allowed here",
    ),
    (
        "a rule from nothing",
        tc(transcript_filtering_config={"replacements": [{"from": "", "to": "b"}]}),
        "must not be empty",
    ),
    (
        "1001 rules",
        tc(transcript_filtering_config={"replacements": [{"from": "a", "to": "b"}] * 1001}),
        "at most 1,000 entries",
    ),
    ("disfluencies a string", tc(transcript_filtering_config={"remove_disfluencies": "no"}), "must be true or false"),
    ("speaker sensitivity 2", tc(speaker_diarization_config={"speaker_sensitivity": 2}), "between 0 and 1"),
    (
        "a speaker called S1",
        tc(speaker_diarization_config={"speakers": [{"label": "S1", "speaker_identifiers": ["x"]}]}),
        "must not look like",
    ),
    (
        "a speaker without identifiers",
        tc(speaker_diarization_config={"speakers": [{"label": "Ada", "speaker_identifiers": []}]}),
        "must not be empty",
    ),
    ("max_delay negative", tc(max_delay=-1), f"{TC}.max_delay: must not be negative"),
    ("max_delay_mode unknown", tc(max_delay_mode="slow"), f"{TC}.max_delay_mode"),
    ("line length 0", job(output_config={"srt_overrides": {"max_line_length": 0}}), "max_line_length: must be between"),
    ("lines a fraction", job(output_config={"srt_overrides": {"max_lines": 1.5}}), "max_lines: must be a whole number"),
    ("lines a string", job(output_config={"srt_overrides": {"max_lines": "2"}}), "max_lines: must be a whole number"),
    ("tags a string", job(tracking={"tags": "one"}), "tracking.tags: must be a list"),
    ("details a list", job(tracking={"details": []}), "tracking.details: must be an object"),
    ("title an object", job(tracking={"title": {}}), "tracking.title: must be a string"),
    ("title too long", job(tracking={"title": "t" * 10_001}), "at most 10,000 characters"),
    ("six targets", job(translation_config={"target_languages": list("abcdef")}), "at most 5 entries"),
    ("no targets", job(translation_config={}), "translation_config.target_languages: is required"),
    (
        "summary of another length",
        job(summarization_config={"summary_length": "long"}),
        "summary_length: must be one of",
    ),
    ("an empty topic", job(topic_detection_config={"topics": [" "]}), "topics[0]: must not be empty"),
    ("an unknown event", job(audio_events_config={"types": ["rain"]}), "types[0]: must be one of"),
    ("four notifications", job(notification_config=[{"url": HOOK}] * 4), "at most 3 entries"),
    ("a notification nowhere", job(notification_config=[{}]), "notification_config[0].url: is required"),
    ("a notification by file", job(notification_config=[{"url": "file:///etc/passwd"}]), "http or https URL"),
    (
        "a notification with a password in a line",
        job(notification_config=[{"url": HOOK, "auth_headers": ["a\nb"]}]),
        "header",
    ),
    (
        "a notification by DELETE",
        job(notification_config=[{"url": HOOK, "method": "delete"}]),
        "method: must be one of",
    ),
    (
        "unknown contents",
        job(notification_config=[{"url": HOOK, "contents": ["audio"]}]),
        "contents[0]: must be one of",
    ),
    (
        "media from gopher",
        job(fetch_data={"url": "gopher://example.org"}),
        "fetch_data.url: must be an http or https URL",
    ),
    ("media from nowhere", job(fetch_data={}), "fetch_data.url: is required"),
    (
        "a default language missing",
        job(language_identification_config={"low_confidence_action": "use_default_language"}),
        "default_language",
    ),
    ("NUL in a text", job(tracking={"title": "a\0b"}), "tracking.title: must not hold the NUL character"),
    ("NUL in a name", job(tracking={"details": {"a\0b": 1}}), "NUL character"),
)

# ── config: the text itself (name, bytes, fragment) ──

_TEXT = json.dumps(GOOD).encode()
_DETAILS = b'{"type":"transcription","transcription_config":{"language":"en"},"tracking":{"details":{"x":%b}}}'

TEXTS: tuple[tuple[str, bytes, str], ...] = (
    ("empty", b"", "got nothing"),
    ("blank", b" \r\n\t", "got nothing"),
    ("cut off", _TEXT[:-2], "is not valid JSON"),
    ("two documents", _TEXT + _TEXT, "is not valid JSON"),
    ("a NUL behind it", _TEXT + b"\0", "is not valid JSON"),
    ("a trailing comma", b'{"type":"transcription",}', "is not valid JSON"),
    ("single quotes", b"{'type':'transcription'}", "is not valid JSON"),
    ("a comment", _TEXT + b"// done", "is not valid JSON"),
    ("YAML", b"type: transcription", "is not valid JSON"),
    ("XML", b"<config/>", "is not valid JSON"),
    ("a form", b"type=transcription&language=en", "is not valid JSON"),
    ("UTF-16 with a mark", json.dumps(GOOD).encode("utf-16"), "is not valid JSON"),
    ("UTF-16 without", json.dumps(GOOD).encode("utf-16-le"), "is not valid JSON"),
    ("UTF-32", json.dumps(GOOD).encode("utf-32"), "is not valid JSON"),
    ("two byte order marks", b"\xef\xbb\xbf\xef\xbb\xbf" + _TEXT, "is not valid JSON"),
    ("Latin-1", _DETAILS % b'"caf\xe9"', "is not valid JSON"),
    ("an overlong NUL", _DETAILS % b'"\xc0\x80"', "is not valid JSON"),
    ("a surrogate in bytes", _DETAILS % b'"\xed\xa0\x80"', "is not valid JSON"),
    ("a surrogate in escapes", _DETAILS % b'"\\ud800"', "is not valid JSON"),
    ("an escape that is none", _DETAILS % b'"\\x41"', "is not valid JSON"),
    ("a control character", _DETAILS % b'"a\x01b"', "is not valid JSON"),
    ("NaN", _DETAILS % b"NaN", "is not valid JSON"),
    ("Infinity", _DETAILS % b"Infinity", "is not valid JSON"),
    ("a number beyond all", _DETAILS % b"1e400", "must be a finite number"),
    ("a number of 65 bits", _DETAILS % b"18446744073709551616", "is too large a number"),
    ("a number of 5,000 digits", _DETAILS % (b"1" * 5000), "is not valid JSON"),
    ("65 lists in one another", _DETAILS % (b"[" * 63 + b"]" * 63), "nested more than 64"),
    ("100,000 lists in one another", _DETAILS % (b"[" * 100_000), "is not valid JSON"),
    ("100,000 objects in one another", b'{"a":' * 100_000, "is not valid JSON"),
    ("four megabytes of it", b'{"type":"' + b"t" * 4_194_285 + b'"}', "type: must be one of"),
)

# ── what this server lacks (name, config, fragment) ──

ABSENT: tuple[tuple[str, Any, str], ...] = (
    ("French", tc(language="fr"), f"{TC}.language"),
    ("Mandarin and English", tc(language="cmn_en"), f"{TC}.language"),
    ("a language that is none", tc(language="xx"), f"{TC}.language"),
    ("English in capitals", tc(language="EN"), f"{TC}.language"),
    ("any language", tc(language="auto"), f"{TC}.language"),
    ("every language", tc(language="multi"), f"{TC}.language"),
    ("melia-1", tc(model="melia-1"), f"{TC}.model"),
    ("melia-1 by its old name", tc(operating_point="melia-1", language="multi"), f"{TC}.operating_point"),
    ("a domain", tc(domain="medical"), f"{TC}.domain"),
    ("laughter only", job(audio_events_config={"types": ["laughter"]}), "audio_events_config"),
    (
        "a notification to this machine",
        job(notification_config=[{"url": "http://127.0.0.1/"}]),
        "address is not allowed",
    ),
    ("a notification, unlisted, inside", job(notification_config={"url": "http://10.0.0.1"}), "address is not allowed"),
    ("fetched media beside sent media", job(fetch_data={"url": "https://example.org/a.wav"}), "fetch_data"),
    (
        "alignment of German",
        {"type": "alignment", "alignment_config": {"language": "de"}},
        "alignment_config.language: language 'de' cannot be aligned",
    ),
)


# ── media ──

_WAV = SILENCE[:44]


def _wav(at: int, value: bytes) -> bytes:
    """Silence with a lie in its header."""
    return SILENCE[:at] + value + SILENCE[at + len(value) :]


_PLAYLIST = "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"
_SDP = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n"
_MPD = (
    b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
    b'<Representation id="1"><BaseURL>file:///etc/passwd</BaseURL></Representation></AdaptationSet></Period></MPD>'
)

MEDIA: tuple[tuple[str, bytes, str, str], ...] = (
    *(
        (f"fixture {name}", (AUDIO / name).read_bytes(), name, fragment)
        for name, fragment in {
            "empty.wav": "the file is empty",
            "headerless.wav": "not audio or video of a known format",
            "not_media.wav": "not audio or video of a known format",
            "picture.wav": "not audio or video of a known format",
            "truncated.m4a": "not audio or video of a known format",
            "video_only.mp4": "no audio track",
        }.items()
    ),
    ("one byte", b"R", "a.wav", "known format"),
    ("only RIFF", b"RIFF", "a.wav", "known format"),
    ("a header cut in half", _WAV[:20], "a.wav", "known format"),
    ("zeros", bytes(10_000), "a.wav", "known format"),
    ("ones", b"\xff" * 10_000, "a.raw", "known format"),
    ("text called mp3", b"all ears\n" * 50, "song.mp3", "known format"),
    ("a picture called flac", (AUDIO / "picture.wav").read_bytes(), "a.flac", "known format"),
    ("a film without sound called wav", (AUDIO / "video_only.mp4").read_bytes(), "a.wav", "no audio track"),
    ("no channels", _wav(22, b"\0\0"), "none.wav", ""),
    ("65,535 channels", _wav(22, b"\xff\xff"), "crowd.wav", ""),
    ("an unknown codec", _wav(20, b"\xee\xee"), "codec.wav", ""),
    ("a page", b"<!doctype html><title>404</title>" * 20, "a.mp4", "known format"),
    ("a zip", b"PK\x03\x04" + bytes(200), "a.zip", "known format"),
    ("a gzip", b"\x1f\x8b\x08" + bytes(200), "a.wav.gz", "known format"),
    ("a PDF", b"%PDF-1.7\n" + b"x" * 300, "a.pdf", "known format"),
    ("a program", b"\x7fELF\x02\x01\x01" + bytes(300), "a.wav", "known format"),
    ("a drawing", b'<svg xmlns="http://www.w3.org/2000/svg"/>' * 5, "a.wav", "known format"),
    ("a tag and no song", b"ID3\x04\0\0\0\0\0\x0a" + bytes(10), "a.mp3", "known format"),
    ("an Ogg page of nothing", b"OggS\0\x02" + bytes(21), "a.ogg", "known format"),
    ("a FLAC without blocks", b"fLaC", "a.flac", "known format"),
    ("a Matroska of nothing", b"\x1a\x45\xdf\xa3\x80", "a.webm", "known format"),
    ("a film of no boxes", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "a.mp4", ""),
    ("a playlist of a file", _PLAYLIST.format("file:///etc/passwd").encode(), "a.m3u8", "known format"),
    ("a playlist of an address", _PLAYLIST.format("http://127.0.0.1:9/x.ts").encode(), "a.wav", "known format"),
    (
        "a playlist of a joint",
        _PLAYLIST.format("concat:http://127.0.0.1:9/x|file:///etc/passwd").encode(),
        "b.m3u8",
        "known format",
    ),
    ("a list of files", b"ffconcat version 1.0\nfile '/etc/passwd'\n", "a.ffconcat", "known format"),
    ("a list of addresses", b"ffconcat version 1.0\nfile 'http://127.0.0.1:9/'\n", "a.wav", "known format"),
    ("a session description", _SDP, "a.sdp", "known format"),
    ("a manifest", _MPD, "a.mpd", "known format"),
    ("a play list", b"[playlist]\nFile1=file:///etc/passwd\n", "a.pls", "known format"),
    ("subtitles", b"1\n00:00:00,000 --> 00:00:01,000\nHello\n", "a.srt", "known format"),
    ("a path", b"/etc/passwd", "passwd", "known format"),
    ("ffmpeg's own metadata", b";FFMETADATA1\ntitle=x\n", "a.txt", "known format"),
)
