import json
from typing import Any

import pytest

from sottovoce.errors import Kind, Refused
from sottovoce.request import Tracking, TranscriptionRequest
from sottovoce.wire.v2.config import MAX_CONFIG_BYTES, MAX_DEPTH, parse_job_config

TC = "transcription_config"
SD = f"{TC}.speaker_diarization_config"
RULES = f"{TC}.transcript_filtering_config.replacements"
HOOK = "https://example.org/hook"


def job(**top: Any) -> dict[str, Any]:
    return {"type": "transcription", "transcription_config": {"language": "en"}, **top}


def tc(**members: Any) -> dict[str, Any]:
    return job(transcription_config={"language": "en", **members})


def align(**top: Any) -> dict[str, Any]:
    return {"type": "alignment", "alignment_config": {"language": "en"}, **top}


def lid(**members: Any) -> dict[str, Any]:
    return job(transcription_config={"language": "auto"}, language_identification_config=members)


def speaker(**members: Any) -> dict[str, Any]:
    return tc(speaker_diarization_config={"speakers": [{"label": "Ada", "speaker_identifiers": ["x"], **members}]})


def rule(**members: Any) -> dict[str, Any]:
    return tc(transcript_filtering_config={"replacements": [{"from": "a", "to": "b"}, members]})


def hook(**members: Any) -> dict[str, Any]:
    return job(notification_config=[{"url": HOOK}, {"url": HOOK, **members}])


def refusal(raw: bytes) -> Refused:
    with pytest.raises(Refused) as caught:
        parse_job_config(raw)
    assert caught.value.kind is Kind.INVALID_CONFIG
    return caught.value


# fmt: off
# (config, where, a word of the reason)
BAD: list[tuple[Any, str | None, str]] = [
    # the whole
    ([], None, "must be a JSON object, got a list"),
    ("https://user:pw@example.org", None, "got a string"),
    (7, None, "got a number"),
    (None, None, "got null"),
    (True, None, "got a boolean"),
    # type and its object
    ({}, "type", "is required"),
    ({"transcription_config": {"language": "en"}}, "type", "is required"),
    (job(type=None), "type", "is required"),
    (job(type="translation"), "type", 'one of transcription, alignment, got "translation"'),
    (job(type="Transcription"), "type", "must be one of"),
    (job(type=1), "type", "must be a string, got 1"),
    (job(type=[]), "type", "must be a string, got a list"),
    ({"type": "transcription"}, TC, "is required in a job of type transcription"),
    ({"type": "transcription", "alignment_config": {"language": "en"}}, TC, "is required"),
    (job(transcription_config=None), TC, "is required"),
    (job(transcription_config=[]), TC, "must be an object, got a list"),
    (job(transcription_config="en"), TC, "must be an object, got a string"),
    (job(transcription_config=True), TC, "must be an object, got a boolean"),
    ({"type": "alignment"}, "alignment_config", "is required in a job of type alignment"),
    (job(type="alignment"), "alignment_config", "is required"),
    (align(alignment_config={}), "alignment_config.language", "is required"),
    (align(alignment_config={"language": "auto"}), "alignment_config.language", "code of one language"),
    (align(alignment_config={"language": 5}), "alignment_config.language", "must be a string, got 5"),
    (align(alignment_config=3), "alignment_config", "must be an object, got a number"),
    # language
    (job(transcription_config={}), f"{TC}.language", "is required"),
    (tc(language=None), f"{TC}.language", "is required"),
    (tc(language=""), f"{TC}.language", 'language code such as en or cmn_en, got ""'),
    (tc(language=" en"), f"{TC}.language", "language code"),
    (tc(language="en\n"), f"{TC}.language", "language code"),
    (tc(language="1en"), f"{TC}.language", "language code"),
    (tc(language="../../etc/passwd"), f"{TC}.language", "language code"),
    (tc(language="e" * 33), f"{TC}.language", "language code"),
    (tc(language="ру"), f"{TC}.language", "language code"),
    (tc(language=["en"]), f"{TC}.language", "must be a string, got a list"),
    (tc(language="multi"), f"{TC}.language", "needs the model melia-1"),
    (tc(language="multi", model="enhanced"), f"{TC}.language", "needs the model melia-1"),
    # domain, locale, operating point
    (tc(domain=3), f"{TC}.domain", "must be a string"),
    (tc(domain=""), f"{TC}.domain", "must be a name"),
    (tc(domain="medi cal"), f"{TC}.domain", "must be a name"),
    (tc(output_locale="en-NZ"), f"{TC}.output_locale", 'one of en-GB, en-US, en-AU, got "en-NZ"'),
    (tc(output_locale="en-gb"), f"{TC}.output_locale", "en-GB"),
    (tc(output_locale="cmn-Hans"), f"{TC}.output_locale", "en-GB"),
    (tc(language="cmn", output_locale="en-GB"), f"{TC}.output_locale", "cmn-Hans, cmn-Hant"),
    (tc(language="auto", output_locale="en-GB"), f"{TC}.output_locale", "auto"),
    (tc(language="fr", output_locale="en-GB"), f"{TC}.output_locale", "English and Mandarin only"),
    (tc(output_locale=""), f"{TC}.output_locale", "must be a name"),
    (tc(model="oak-1"), f"{TC}.model", 'must be one of standard, enhanced, got "oak-1"'),
    (tc(model="melia-1"), f"{TC}.model", "melia-1 is not available"),
    (tc(model="melia-1", language="multi"), f"{TC}.model", "melia-1 is not available"),
    (tc(operating_point="melia-1"), f"{TC}.operating_point", "melia-1 is not available"),
    (tc(model="melia-1", operating_point="standard"), f"{TC}.model", "melia-1 is not available"),
    (tc(operating_point="Enhanced"), f"{TC}.operating_point", "must be one of"),
    (tc(operating_point=2), f"{TC}.operating_point", "must be a string"),
    (tc(model="standard", operating_point="fast"), f"{TC}.operating_point", 'got "fast"'),
    # vocabulary
    (tc(additional_vocab={"content": "a"}), f"{TC}.additional_vocab", "must be a list, got an object"),
    (tc(additional_vocab=["a"] * 1001), f"{TC}.additional_vocab", "at most 1,000 entries, got 1,001"),
    (tc(additional_vocab=["a", 1]), f"{TC}.additional_vocab[1]", "object with content, or a string, got 1"),
    (tc(additional_vocab=[None]), f"{TC}.additional_vocab[0]", "got null"),
    (tc(additional_vocab=[["a"]]), f"{TC}.additional_vocab[0]", "object with content"),
    (tc(additional_vocab=[{}]), f"{TC}.additional_vocab[0].content", "is required"),
    (tc(additional_vocab=[{"content": None}]), f"{TC}.additional_vocab[0].content", "is required"),
    (tc(additional_vocab=[{"content": 5}]), f"{TC}.additional_vocab[0].content", "must be a string, got 5"),
    (tc(additional_vocab=[{"content": "a", "sounds_like": "b"}]), f"{TC}.additional_vocab[0].sounds_like", "list"),
    (tc(additional_vocab=[{"content": "a", "sounds_like": ["b", 2]}]), f"{TC}.additional_vocab[0].sounds_like[1]", "2"),
    (tc(additional_vocab=[{"content": "a", "sounds_like": ["b"] * 101}]), f"{TC}.additional_vocab[0].sounds_like", "100"),
    # punctuation
    (tc(punctuation_overrides=[]), f"{TC}.punctuation_overrides", "must be an object"),
    (tc(punctuation_overrides={"sensitivity": 1.5}), f"{TC}.punctuation_overrides.sensitivity", "between 0 and 1, got 1.5"),
    (tc(punctuation_overrides={"sensitivity": -0.1}), f"{TC}.punctuation_overrides.sensitivity", "got -0.1"),
    (tc(punctuation_overrides={"sensitivity": "0.5"}), f"{TC}.punctuation_overrides.sensitivity", 'number, got "0.5"'),
    (tc(punctuation_overrides={"sensitivity": True}), f"{TC}.punctuation_overrides.sensitivity", "number, got true"),
    (tc(punctuation_overrides={"permitted_marks": "."}), f"{TC}.punctuation_overrides.permitted_marks", "must be a list"),
    (tc(punctuation_overrides={"permitted_marks": [".", "?!"]}), f"{TC}.punctuation_overrides.permitted_marks[1]", "one character"),
    (tc(punctuation_overrides={"permitted_marks": [""]}), f"{TC}.punctuation_overrides.permitted_marks[0]", "one character"),
    (tc(punctuation_overrides={"permitted_marks": [1]}), f"{TC}.punctuation_overrides.permitted_marks[0]", "must be a string"),
    # diarization
    (tc(diarization="both"), f"{TC}.diarization", 'one of none, speaker, channel, got "both"'),
    (tc(diarization="speaker_change"), f"{TC}.diarization", "speaker_change, removed in July 2024"),
    (tc(diarization="channel_and_speaker_change"), f"{TC}.diarization", "channel_and_speaker_change, removed"),
    (tc(diarization="channel_and_speaker"), f"{TC}.diarization", "Realtime only"),
    (tc(diarization=True), f"{TC}.diarization", "must be a string, got true"),
    (tc(channel_diarization_labels="Agent"), f"{TC}.channel_diarization_labels", "must be a list"),
    (tc(channel_diarization_labels=["ok", "not ok"]), f"{TC}.channel_diarization_labels[1]", "letters A to Z"),
    (tc(channel_diarization_labels=[""]), f"{TC}.channel_diarization_labels[0]", "letters A to Z"),
    (tc(channel_diarization_labels=["a\n"]), f"{TC}.channel_diarization_labels[0]", "letters A to Z"),
    (tc(channel_diarization_labels=["Käufer"]), f"{TC}.channel_diarization_labels[0]", "letters A to Z"),
    (tc(channel_diarization_labels=["a" * 257]), f"{TC}.channel_diarization_labels[0]", "at most 256 characters"),
    (tc(channel_diarization_labels=["a"] * 101), f"{TC}.channel_diarization_labels", "at most 100 entries, got 101"),
    # speakers
    (tc(speaker_diarization_config=True), SD, "must be an object"),
    (tc(speaker_diarization_config={"speaker_sensitivity": 2}), f"{SD}.speaker_sensitivity", "between 0 and 1, got 2"),
    (tc(speaker_diarization_config={"speaker_sensitivity": 1e308}), f"{SD}.speaker_sensitivity", "got 1e+308"),
    (tc(speaker_diarization_config={"prefer_current_speaker": 1}), f"{SD}.prefer_current_speaker", "true or false, got 1"),
    (tc(speaker_diarization_config={"get_speakers": "yes"}), f"{SD}.get_speakers", 'true or false, got "yes"'),
    (tc(speaker_diarization_config={"speakers": {}}), f"{SD}.speakers", "must be a list, got an object"),
    (tc(speaker_diarization_config={"speakers": ["x"]}), f"{SD}.speakers[0]", "must be an object, got a string"),
    (tc(speaker_diarization_config={"speakers": [{"label": "Ada"}]}), f"{SD}.speakers[0].speaker_identifiers", "required"),
    (speaker(label=None), f"{SD}.speakers[0].label", "is required"),
    (speaker(label=""), f"{SD}.speakers[0].label", "must not be empty"),
    (speaker(label="UU"), f"{SD}.speakers[0].label", "own labels"),
    (speaker(label="S1"), f"{SD}.speakers[0].label", "own labels"),
    (speaker(label="S001"), f"{SD}.speakers[0].label", "own labels"),
    (speaker(label=" Ada"), f"{SD}.speakers[0].label", "start or end with a space"),
    (speaker(label="Ada "), f"{SD}.speakers[0].label", "start or end with a space"),
    (speaker(label=" "), f"{SD}.speakers[0].label", "start or end with a space"),
    (speaker(label="\u2003Ada"), f"{SD}.speakers[0].label", "start or end with a space"),
    (speaker(label="Ada\u00a0"), f"{SD}.speakers[0].label", "start or end with a space"),
    (speaker(label=7), f"{SD}.speakers[0].label", "must be a string, got 7"),
    (speaker(label="A\nB"), f"{SD}.speakers[0].label", "control"),
    (speaker(label="A" * 257), f"{SD}.speakers[0].label", "at most 256"),
    (speaker(speaker_identifiers=[]), f"{SD}.speakers[0].speaker_identifiers", "must not be empty"),
    (speaker(speaker_identifiers=None), f"{SD}.speakers[0].speaker_identifiers", "is required"),
    (speaker(speaker_identifiers=["x", "x"]), f"{SD}.speakers[0].speaker_identifiers", "same identifier twice"),
    (speaker(speaker_identifiers=["x", 1]), f"{SD}.speakers[0].speaker_identifiers[1]", "must be a string, got a number"),
    (speaker(speaker_identifiers=[""]), f"{SD}.speakers[0].speaker_identifiers[0]", "must not be empty"),
    (speaker(speaker_identifiers=["x" * 65_537]), f"{SD}.speakers[0].speaker_identifiers[0]", "at most 65,536"),
    (speaker(speaker_identifiers=[str(n) for n in range(51)]), f"{SD}.speakers[0].speaker_identifiers", "at most 50"),
    (tc(speaker_diarization_config={"speakers": [{"label": n, "speaker_identifiers": [f"{n}{i}" for i in range(26)]} for n in "ab"]}), f"{SD}.speakers", "at most 50 speaker identifiers in all"),
    # the rest of transcription_config
    (tc(enable_entities="true"), f"{TC}.enable_entities", 'true or false, got "true"'),
    (tc(enable_entities=0), f"{TC}.enable_entities", "true or false, got 0"),
    (tc(enable_partials=1), f"{TC}.enable_partials", "true or false"),
    (tc(max_delay_mode="loose"), f"{TC}.max_delay_mode", "one of fixed, flexible"),
    (tc(max_delay="4"), f"{TC}.max_delay", "must be a number"),
    (tc(max_delay=-1), f"{TC}.max_delay", "must not be negative, got -1"),
    (tc(max_delay=True), f"{TC}.max_delay", "must be a number, got true"),
    (tc(audio_filtering_config=5), f"{TC}.audio_filtering_config", "must be an object"),
    (tc(audio_filtering_config={"volume_threshold": 101}), f"{TC}.audio_filtering_config.volume_threshold", "0 and 100, got 101"),
    (tc(audio_filtering_config={"volume_threshold": -1}), f"{TC}.audio_filtering_config.volume_threshold", "got -1"),
    (tc(audio_filtering_config={"volume_threshold": "3"}), f"{TC}.audio_filtering_config.volume_threshold", "a number"),
    (tc(transcript_filtering_config=[]), f"{TC}.transcript_filtering_config", "must be an object"),
    (tc(transcript_filtering_config={"remove_disfluencies": 1}), f"{TC}.transcript_filtering_config.remove_disfluencies", "true or false"),
    (tc(transcript_filtering_config={"replacements": {"a": "b"}}), RULES, "must be a list"),
    (tc(transcript_filtering_config={"replacements": [{"from": "a", "to": "b"}] * 1001}), RULES, "at most 1,000"),
    (rule(to="b"), f"{RULES}[1].from", "is required"),
    (rule(**{"from": "a"}), f"{RULES}[1].to", "is required"),
    (rule(**{"from": "", "to": "b"}), f"{RULES}[1].from", "must not be empty"),
    (rule(**{"from": 1, "to": "b"}), f"{RULES}[1].from", "must be a string"),
    (rule(**{"from": "a", "to": ["b"]}), f"{RULES}[1].to", "must be a string, got a list"),
    (rule(**{"from": "a", "to": "b", "regex": True}), f"{RULES}[1].regex", "not a member"),
    (rule(**{"from": "a", "to": "b", "source": "c"}), f"{RULES}[1].source", "not a member"),
    (rule(**{"from": "a", "to": "b", "a b\n": 1}), f"{RULES}[1].?", "not a member"),
    (rule(**{"from": "a" * 4001, "to": "b"}), f"{RULES}[1].from", "at most 4,000"),
    (tc(language_hints="en"), f"{TC}.language_hints", "must be a list"),
    (tc(language_hints=["en", "?"]), f"{TC}.language_hints[1]", "language code"),
    (tc(language_hints_strict="no"), f"{TC}.language_hints_strict", "true or false"),
    # fetching
    (job(fetch_data="https://user:pw@example.org/a"), "fetch_data", "must be an object, got a string"),
    (job(fetch_data={}), "fetch_data.url", "is required"),
    (job(fetch_data={"url": 1}), "fetch_data.url", "must be a string, got a number"),
    (job(fetch_data={"url": ""}), "fetch_data.url", "http or https"),
    (job(fetch_data={"url": "example.org/a.wav"}), "fetch_data.url", "http or https"),
    (job(fetch_data={"url": "file:///etc/passwd"}), "fetch_data.url", "http or https"),
    (job(fetch_data={"url": "s3://bucket/a.wav"}), "fetch_data.url", "http or https"),
    (job(fetch_data={"url": "http:///a.wav"}), "fetch_data.url", "with a host"),
    (job(fetch_data={"url": "http://[::1/a"}), "fetch_data.url", "valid URL"),
    (job(fetch_data={"url": "http://a:99999/"}), "fetch_data.url", "valid URL"),
    (job(fetch_data={"url": "http://a b/"}), "fetch_data.url", "without blanks"),
    (job(fetch_data={"url": "http://a/\r\nX: y"}), "fetch_data.url", "without blanks"),
    (job(fetch_data={"url": "http://good.example\\@evil.example/"}), "fetch_data.url", "backslashes"),
    (job(fetch_data={"url": "http://a/" + "x" * 8192}), "fetch_data.url", "at most 8,192"),
    (job(fetch_data={"url": HOOK, "auth_headers": "A: b"}), "fetch_data.auth_headers", "must be a list"),
    (job(fetch_data={"url": HOOK, "auth_headers": ["A: b", "no colon"]}), "fetch_data.auth_headers[1]", "Name: value"),
    (job(fetch_data={"url": HOOK, "auth_headers": ["A b: c"]}), "fetch_data.auth_headers[0]", "Name: value"),
    (job(fetch_data={"url": HOOK, "auth_headers": [": c"]}), "fetch_data.auth_headers[0]", "Name: value"),
    (job(fetch_data={"url": HOOK, "auth_headers": ["A: b\r\nC: d"]}), "fetch_data.auth_headers[0]", "line breaks"),
    (job(fetch_data={"url": HOOK, "auth_headers": ["A: b\n"]}), "fetch_data.auth_headers[0]", "line breaks"),
    (job(fetch_data={"url": HOOK, "auth_headers": ["A: €"]}), "fetch_data.auth_headers[0]", "Name: value"),
    (job(fetch_data={"url": HOOK, "auth_headers": ["host: other"]}), "fetch_data.auth_headers[0]", "connection itself"),
    (job(fetch_data={"url": HOOK, "auth_headers": ["A: " + "b" * 16_384]}), "fetch_data.auth_headers[0]", "16,384"),
    (job(fetch_data={"url": HOOK, "auth_headers": ["A: b"] * 51}), "fetch_data.auth_headers", "at most 50"),
    (align(fetch_text={"url": "ftp://example.org/a.txt"}), "fetch_text.url", "http or https"),
    (align(fetch_text={"auth_headers": []}), "fetch_text.url", "is required"),
    # notifications
    (job(notification_config=HOOK), "notification_config", "must be a list, got a string"),
    (job(notification_config={}), "notification_config[0].url", "is required"),
    (job(notification_config=[HOOK]), "notification_config[0]", "must be an object, got a string"),
    (job(notification_config=[{"url": HOOK}] * 4), "notification_config", "at most 3 entries, got 4"),
    (hook(url="mailto:a@example.org"), "notification_config[1].url", "http or https"),
    (hook(contents="transcript"), "notification_config[1].contents", "must be a list"),
    (hook(contents=["transcript:json-v2"]), "notification_config[1].contents[0]", "transcript.json-v2"),
    (hook(contents=["jobinfo", "summary"]), "notification_config[1].contents[1]", "must be one of jobinfo"),
    (hook(contents=[None]), "notification_config[1].contents[0]", "must be a string"),
    (hook(method="get"), "notification_config[1].method", "one of post, put"),
    (hook(method="POST"), "notification_config[1].method", "one of post, put"),
    (hook(auth_headers=["Authorization"]), "notification_config[1].auth_headers[0]", "Name: value"),
    # tracking
    (job(tracking="mine"), "tracking", "must be an object"),
    (job(tracking={"title": 5}), "tracking.title", "must be a string, got 5"),
    (job(tracking={"title": "x" * 10_001}), "tracking.title", "at most 10,000"),
    (job(tracking={"reference": ["r"]}), "tracking.reference", "must be a string"),
    (job(tracking={"tags": "a,b"}), "tracking.tags", "must be a list"),
    (job(tracking={"tags": ["a", None]}), "tracking.tags[1]", "must be a string, got null"),
    (job(tracking={"details": "x"}), "tracking.details", "must be an object, got a string"),
    (job(tracking={"details": ["x"]}), "tracking.details", "must be an object, got a list"),
    (job(tracking={"title": "a\0b"}), "tracking.title", "NUL"),
    (job(tracking={"details": {"a": [1, {"b": "\0"}]}}), "tracking.details.a[1].b", "NUL"),
    (job(tracking={"details": {"a": {"\0": 1}}}), "tracking.details.a", "NUL"),
    (job(tracking={"details": {"a": 10**40}}), "tracking.details.a", "too large"),
    # output, translation, identification
    (job(output_config=1), "output_config", "must be an object"),
    (job(output_config={"srt_overrides": []}), "output_config.srt_overrides", "must be an object"),
    (job(output_config={"srt_overrides": {"max_line_length": 0}}), "output_config.srt_overrides.max_line_length", "between 1 and 10,000, got 0"),
    (job(output_config={"srt_overrides": {"max_line_length": 10**6}}), "output_config.srt_overrides.max_line_length", "10,000"),
    (job(output_config={"srt_overrides": {"max_line_length": "37"}}), "output_config.srt_overrides.max_line_length", 'whole number, got "37"'),
    (job(output_config={"srt_overrides": {"max_line_length": 37.5}}), "output_config.srt_overrides.max_line_length", "whole number, got 37.5"),
    (job(output_config={"srt_overrides": {"max_lines": -2}}), "output_config.srt_overrides.max_lines", "got -2"),
    (job(output_config={"srt_overrides": {"max_lines": 1e300}}), "output_config.srt_overrides.max_lines", "got 1e+300"),
    (job(output_config={"srt_overrides": {"max_lines": True}}), "output_config.srt_overrides.max_lines", "whole number, got true"),
    (job(output_config={"generate_lattice": "x"}), "output_config.generate_lattice", "true or false"),
    (job(translation_config={}), "translation_config.target_languages", "is required"),
    (job(translation_config={"target_languages": None}), "translation_config.target_languages", "is required"),
    (job(translation_config={"target_languages": "de"}), "translation_config.target_languages", "must be a list"),
    (job(translation_config={"target_languages": list("abcdef")}), "translation_config.target_languages", "at most 5 entries, got 6"),
    (job(translation_config={"target_languages": ["de", ""]}), "translation_config.target_languages[1]", "language code"),
    (job(translation_config={"target_languages": [], "enable_partials": 1}), "translation_config.enable_partials", "true or false"),
    (lid(expected_languages="en"), "language_identification_config.expected_languages", "must be a list"),
    (lid(expected_languages=["en", "auto"]), "language_identification_config.expected_languages[1]", "neither auto"),
    (lid(expected_languages=["e n"]), "language_identification_config.expected_languages[0]", "language code"),
    (lid(low_confidence_action="guess"), "language_identification_config.low_confidence_action", "allow, reject, use_default_language"),
    (lid(low_confidence_action="use_default_language"), "language_identification_config.default_language", "is required when"),
    (lid(default_language="multi"), "language_identification_config.default_language", "neither auto nor multi"),
    (job(language_identification_config={"low_confidence_action": "use_default_language"}), "language_identification_config.default_language", "is required when"),
    # intelligence
    (job(summarization_config=True), "summarization_config", "must be an object"),
    (job(summarization_config={"content_type": "sales"}), "summarization_config.content_type", "auto, informative, conversational"),
    (job(summarization_config={"summary_length": "long"}), "summarization_config.summary_length", "brief, detailed"),
    (job(summarization_config={"summary_type": "haiku"}), "summarization_config.summary_type", "paragraphs, bullets"),
    (job(sentiment_analysis_config=True), "sentiment_analysis_config", "must be an object"),
    (job(sentiment_analysis_config={"enable_sentiment": "yes"}), "sentiment_analysis_config.enable_sentiment", "true or false"),
    (job(topic_detection_config=["Sports"]), "topic_detection_config", "must be an object"),
    (job(topic_detection_config={"topics": "Sports"}), "topic_detection_config.topics", "must be a list"),
    (job(topic_detection_config={"topics": ["Sports", 1]}), "topic_detection_config.topics[1]", "must be a string"),
    (job(topic_detection_config={"topics": [" "]}), "topic_detection_config.topics[0]", "must not be empty"),
    (job(auto_chapters_config=[]), "auto_chapters_config", "must be an object"),
    (job(auto_chapters_config={"enable_chapters": 1}), "auto_chapters_config.enable_chapters", "true or false"),
    (job(audio_events_config=["music"]), "audio_events_config", "must be an object"),
    (job(audio_events_config={"types": "music"}), "audio_events_config.types", "must be a list"),
    (job(audio_events_config={"types": ["music", "sneeze"]}), "audio_events_config.types[1]", "applause, laughter, music"),
]
# fmt: on


def test_the_table_of_bad_configs_is_long_and_holds_no_case_twice() -> None:
    cases = [json.dumps(config) for config, _, _ in BAD]
    assert len(set(cases)) == len(cases) >= 120


@pytest.mark.parametrize(("config", "at", "word"), BAD, ids=[f"{i}-{at}" for i, (_, at, _) in enumerate(BAD)])
def test_bad_config_is_refused_with_its_field_and_reason(config: Any, at: str | None, word: str) -> None:
    refused = refusal(json.dumps(config).encode())
    assert refused.at == at
    assert word in refused.why
    assert refused.why.isprintable()
    assert len(refused.why) <= 300
    assert "pw@" not in refused.detail


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"", "got nothing"),
        (b" \n\t", "got nothing"),
        (b"\xef\xbb\xbf", "got nothing"),
        (b"{", "EOF"),
        (b"{} {}", "trailing"),
        (b'{"a":1,}', "trailing comma"),
        (b"{'a':1}", "not valid JSON"),
        (b"hello", "not valid JSON"),
        (b'{"a":NaN}', "not valid JSON"),
        (b'{"a":-Infinity}', "not valid JSON"),
        (b'{"type":"\xff"}', "not valid JSON"),
        (b'{"type":"\xed\xa0\x80"}', "not valid JSON"),
        (b'{"type":"\\ud800"}', "not valid JSON"),
        (b'{"\\udc00":1}', "not valid JSON"),
        (b'{"a":"tab\there"}', "not valid JSON"),
        ('{"type":"x"}'.encode("utf-16"), "not valid JSON"),
        (b'{"a":' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"[" * 100_000, "recursion limit"),
        (b'{"a":' * 100_000, "recursion limit"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "recursion limit"),
    ],
)
def test_text_that_is_no_json_object_is_refused_as_a_whole(raw: bytes, word: str) -> None:
    refused = refusal(raw)
    assert refused.at is None
    assert word in refused.why


@pytest.mark.parametrize("number", ["1e999", "-1e999"])
def test_number_beyond_a_double_is_refused_where_it_stands(number: str) -> None:
    refused = refusal(json.dumps(tc(max_delay=0)).replace('"max_delay": 0', f'"max_delay": {number}').encode())
    assert (refused.at, refused.why) == (f"{TC}.max_delay", "must be a finite number")


@pytest.mark.parametrize(
    ("number", "fits"), [(2**64 - 1, True), (2**64, False), (-(2**63), True), (-(2**63) - 1, False)]
)
def test_whole_numbers_are_kept_to_what_our_own_json_can_write(number: int, *, fits: bool) -> None:
    config = job(tracking={"details": {"n": number}})
    if fits:
        assert parse_job_config(json.dumps(config).encode()) == TranscriptionRequest(language="en", tracking=Tracking())
    else:
        assert refusal(json.dumps(config).encode()).at == "tracking.details.n"


def test_size_is_capped_to_the_byte() -> None:
    raw = json.dumps(job()).encode()
    assert parse_job_config(raw.ljust(MAX_CONFIG_BYTES)) == parse_job_config(raw)
    refused = refusal(raw.ljust(MAX_CONFIG_BYTES + 1))
    assert (refused.at, refused.why) == (None, "must be at most 4,194,304 bytes of JSON, got 4,194,305")


def nested(depth: int) -> bytes:
    """A config whose deepest object or list stands *depth* levels deep (the config itself is the first)."""
    deep = b"[" * (depth - 3) + b"]" * (depth - 3)
    return json.dumps(job(tracking={"details": {"deep": "DEEP"}})).encode().replace(b'"DEEP"', deep)


def test_depth_is_capped_to_the_level() -> None:
    assert isinstance(parse_job_config(nested(MAX_DEPTH)), TranscriptionRequest)
    refused = refusal(nested(MAX_DEPTH + 1))
    assert (refused.at, refused.why) == (None, "must not be nested more than 64 levels deep")


SECRETS = [
    job(fetch_data={"url": "ftp://user:hunter2@example.org/?token=hunter2"}),
    job(fetch_data="https://user:hunter2@example.org"),
    job(fetch_data=["hunter2"]),
    job(fetch_data={"url": ["hunter2"]}),
    job(fetch_data={"url": HOOK, "auth_headers": ["hunter2"]}),
    job(fetch_data={"url": HOOK, "auth_headers": "Authorization: hunter2"}),
    job(fetch_data={"url": HOOK, "auth_headers": ["Host: hunter2"]}),
    job(notification_config="https://user:hunter2@example.org"),
    hook(url="gopher://hunter2"),
    hook(contents=["Authorization: hunter2"]),
    hook(auth_headers=["A: hunter2\r\n"]),
    speaker(speaker_identifiers=["hunter2", "hunter2"]),
    speaker(speaker_identifiers="hunter2"),
    tc(speaker_diarization_config={"speakers": ["hunter2"]}),
    tc(language="https://user:hunter2@example.org"),
    job(type="https://user:hunter2@example.org"),
    job(tracking={"details": {"hunter 2 ": "\0hunter2"}}),
    "hunter2",
]


@pytest.mark.parametrize("config", SECRETS)
def test_refusal_repeats_no_secret_and_chains_no_exception_that_would(config: Any) -> None:
    refused = refusal(json.dumps(config).encode())
    assert "hunter" not in refused.detail + str(refused)
    assert refused.__cause__ is None
    assert refused.__context__ is None


@pytest.mark.parametrize("value", ["x" * 5000, "\x1b[31m\u202e" * 500, "\u20ac" * 500, "'\"\\" * 500])
def test_refusal_repeats_only_a_few_printable_characters(value: str) -> None:
    refused = refusal(json.dumps(tc(diarization=value)).encode())
    shown = refused.why.partition(", got ")[2]
    assert shown[0] == shown[-1] == '"'
    assert 10 < len(shown) <= 60
    assert shown.isprintable()


def test_path_of_the_callers_own_names_stays_short_and_plain() -> None:
    details: Any = "\0"
    for _ in range(50):
        details = {"name_of_a_member": details}
    at = refusal(json.dumps(job(tracking={"details": details})).encode()).at
    assert at is not None
    assert at.startswith("tracking.details.name_of_a_member.")
    assert len(at) <= 201
    assert refusal(json.dumps(job(x={"\x1b[31m": "\0"})).encode()).at == "x.?"


def test_a_config_of_very_many_values_is_refused() -> None:
    """Four megabytes of empty lists are a million objects."""
    details = b",".join([b"[]"] * 1_300_000)
    raw = (
        b'{"type":"transcription","transcription_config":{"language":"en"},"tracking":{"details":{"a":['
        + details
        + b"]}}}"
    )
    with pytest.raises(Refused, match="must not hold more than 150,000 names and values"):
        parse_job_config(raw)


def test_the_longest_vocabulary_is_accepted() -> None:
    entry = {"content": "gnocchi", "sounds_like": ["nyohki"] * 100}
    config = {"type": "transcription", "transcription_config": {"language": "en", "additional_vocab": [entry] * 1000}}
    assert parse_job_config(json.dumps(config).encode())
