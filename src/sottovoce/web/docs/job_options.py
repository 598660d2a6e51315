"""Every option of a job: what it does here, its default, and an example (`docs/job-options.md`, OpenAPI).

A test compares the table with the models of `wire/v2/config_schema.py`, so that no option lacks its line.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from sottovoce.wire.formats.table import FORMATS


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One member of JobConfig. *path* is dotted, with `[]` for the elements of a list.

    *meaning* says what the option does on this server; *default* what applies without it (empty: nothing); *engines* which
    engines honour it (empty: all of them, or it concerns no engine).
    """

    path: str
    meaning: str
    example: Any
    default: str = ""
    engines: str = ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.removesuffix("[]").rpartition(".")[2]


_T = "transcription_config"
_F = f"{_T}.transcript_filtering_config"
_S = f"{_T}.speaker_diarization_config"
OPTIONS: tuple[Option, ...] = (
    Option(
        path="type", meaning="What to do: `transcription`, or `alignment` of a given text.", example="transcription"
    ),
    Option(
        path="fetch_data",
        meaning="Fetch the media from a URL instead of the part `data_file`.",
        example={"url": "https://example.org/call.mp3"},
    ),
    Option(
        path="fetch_data.url",
        meaning="An http or https URL; private addresses are refused.",
        example="https://example.org/call.mp3",
    ),
    Option(
        path="fetch_data.auth_headers[]",
        meaning="Header lines to send with the request.",
        example=["Authorization: Bearer abc"],
    ),
    Option(
        path="fetch_text",
        meaning="For alignments: fetch the text from a URL instead of the part `text_file`.",
        example={"url": "https://example.org/call.txt"},
    ),
    Option(path="fetch_text.url", meaning="As `fetch_data.url`.", example="https://example.org/call.txt"),
    Option(path="fetch_text.auth_headers[]", meaning="As `fetch_data.auth_headers`.", example=["X-Token: abc"]),
    Option(path="alignment_config", meaning="Required for `type: alignment`.", example={"language": "en"}),
    Option(
        path="alignment_config.language",
        meaning="The language of the text.",
        example="en",
        engines="English: PocketSphinx; other languages: CTC models",
    ),
    Option(path=_T, meaning="Required for `type: transcription`.", example={"language": "en"}),
    Option(
        path=f"{_T}.language",
        meaning="The language of the speech, or `auto` to have it identified. A language that no engine here knows is refused.",
        example="en",
        engines="`auto`: Whisper with a multilingual model",
    ),
    Option(
        path=f"{_T}.domain",
        meaning="A domain that the operator set up: its vocabulary, engine or model. Others are refused, with those installed.",
        example="medical",
    ),
    Option(
        path=f"{_T}.output_locale",
        meaning="The spelling of the output: `en-GB`, `en-US`, `en-AU`, `cmn-Hans` or `cmn-Hant`.",
        default="`cmn-Hans` for Mandarin",
        example="cmn-Hant",
    ),
    Option(
        path=f"{_T}.model",
        meaning="`standard` or `enhanced`: the smaller or the larger of the models that the server has for the language.",
        default="`standard`",
        example="enhanced",
    ),
    Option(
        path=f"{_T}.operating_point",
        meaning="The older name of `model`, which wins.",
        default="`standard`",
        example="enhanced",
    ),
    Option(
        path=f"{_T}.additional_vocab[]",
        meaning="Custom words, as objects or strings; at most 1,000. Entries of more than 6 words are left out.",
        example=[{"content": "gnocchi", "sounds_like": ["nyohki"]}, "Sottovoce"],
        engines="Whisper, PocketSphinx",
    ),
    Option(
        path=f"{_T}.additional_vocab[].content", meaning="The word or phrase as it is to be written.", example="gnocchi"
    ),
    Option(
        path=f"{_T}.additional_vocab[].sounds_like[]",
        meaning="Spellings that sound like it.",
        example=["nyohki", "nokey"],
        engines="Whisper, PocketSphinx",
    ),
    Option(
        path=f"{_T}.punctuation_overrides",
        meaning="Which marks are written.",
        example={"permitted_marks": [".", "?"]},
    ),
    Option(
        path=f"{_T}.punctuation_overrides.sensitivity",
        meaning="0 to 1: higher values give more marks. Below 0.5 unsure marks are left out; above, more pauses get a comma.",
        default="0.5",
        example=0.5,
    ),
    Option(
        path=f"{_T}.punctuation_overrides.permitted_marks[]",
        meaning="The marks to keep, `all` for every mark. An empty list means no marks.",
        default="all marks",
        example=[",", "."],
    ),
    Option(
        path=f"{_T}.diarization",
        meaning="`speaker` labels each word S1, S2 …; `channel` transcribes each channel of the media by itself.",
        default="`none`",
        example="speaker",
    ),
    Option(
        path=f"{_T}.channel_diarization_labels[]",
        meaning="Names of the channels, for `diarization: channel`; at most 100.",
        default="`channel_1`, `channel_2` …",
        example=["Agent", "Caller"],
    ),
    Option(
        path=f"{_T}.enable_entities",
        meaning="Show numbers, dates and addresses as entities with spoken and written form. The text is the same without it.",
        default="false",
        example=True,
    ),
    Option(
        path=f"{_T}.audio_filtering_config",
        meaning="Give each word its volume, and leave out quiet speech. An empty object gives volumes and leaves nothing out.",
        example={"volume_threshold": 3.4},
    ),
    Option(
        path=f"{_T}.audio_filtering_config.volume_threshold",
        meaning="The volume, 0 to 100, under which audio is left out.",
        default="0",
        example=3.4,
    ),
    Option(path=_F, meaning="Changes to the finished text.", example={"remove_disfluencies": True}),
    Option(
        path=f"{_F}.remove_disfluencies",
        meaning="Leave out hesitations such as *um* (17 languages). Without it they are tagged.",
        default="false",
        example=True,
    ),
    Option(
        path=f"{_F}.replacements[]",
        meaning="Replacement rules, applied in order to words that no rule has changed.",
        example=[{"from": "foo", "to": "bar"}, {"from": "/^colou?r$/", "to": "colour"}],
    ),
    Option(
        path=f"{_F}.replacements[].from",
        meaning="A word, or a regular expression between slashes. One that takes too long on the transcript rejects the job.",
        example="/^colou?r$/",
    ),
    Option(path=f"{_F}.replacements[].to", meaning="The replacement; `$1` is the first group.", example="colour"),
    Option(path=_S, meaning="For `diarization: speaker`.", example={"speaker_sensitivity": 0.6}),
    Option(
        path=f"{_S}.speaker_sensitivity",
        meaning="0 to 1; a higher value finds more speakers.",
        default="0.5",
        example=0.6,
    ),
    Option(
        path=f"{_S}.prefer_current_speaker",
        meaning="Change the speaker only on clear evidence.",
        default="false",
        example=True,
    ),
    Option(
        path=f"{_S}.get_speakers",
        meaning="Return an identifier for each speaker, with which later jobs of the project know the voice again.",
        default="false",
        example=True,
    ),
    Option(
        path=f"{_S}.speakers[]",
        meaning="Speakers to be labelled by name; at most 50 identifiers in all.",
        example=[{"label": "Anna", "speaker_identifiers": ["AAEC…"]}],
    ),
    Option(path=f"{_S}.speakers[].label", meaning="The name to write; not S1, S2 … or UU.", example="Anna"),
    Option(
        path=f"{_S}.speakers[].speaker_identifiers[]",
        meaning="Identifiers from `get_speakers`. Those of another project or diarizer are ignored; the job's log says so.",
        example=["AAEC…"],
    ),
    Option(
        path=f"{_T}.language_hints[]",
        meaning="Accepted; it has no effect: it belongs to the vendor's multilingual model.",
        example=["en", "es"],
    ),
    Option(path=f"{_T}.language_hints_strict", meaning="As `language_hints`.", example=False),
    Option(path=f"{_T}.max_delay", meaning="Accepted; it has no effect in a batch job.", example=4),
    Option(
        path=f"{_T}.max_delay_mode",
        meaning="`fixed` or `flexible`; it has no effect in a batch job.",
        example="flexible",
    ),
    Option(path=f"{_T}.enable_partials", meaning="Accepted; it has no effect in a batch job.", example=False),
    Option(
        path="notification_config[]",
        meaning="Whom to notify when the job has ended; at most 3 entries, or one object.",
        example=[{"url": "https://example.org/hook", "contents": ["transcript"]}],
    ),
    Option(
        path="notification_config[].url",
        meaning="An http or https URL. `id` and `status` are added to its query. Private addresses are refused.",
        example="https://example.org/hook",
    ),
    Option(
        path="notification_config[].auth_headers[]",
        meaning="Header lines to send with the notification.",
        example=["Authorization: Bearer abc"],
    ),
    Option(
        path="notification_config[].contents[]",
        meaning=(
            f"What to send: `jobinfo`, `transcript` (or `transcript.{'`, `.'.join(FORMATS)}`), `data`, `text`, `alignment` (or "
            "`alignment.word_start_and_end`, `.one_per_line`). One is the body itself, several are parts of a form, [] is no body."
        ),
        default="the transcript as a file",
        example=["transcript.txt", "jobinfo"],
    ),
    Option(path="notification_config[].method", meaning="`post` or `put`.", default="`post`", example="put"),
    Option(
        path="tracking",
        meaning="Your own data: returned in the job and in the transcript, never read.",
        example={"title": "Call 17", "reference": "r-17", "tags": ["sales"], "details": {"agent": 4}},
    ),
    Option(path="tracking.title", meaning="A title.", example="Call 17"),
    Option(path="tracking.reference", meaning="A reference in your own system.", example="r-17"),
    Option(path="tracking.tags[]", meaning="Tags.", example=["sales"]),
    Option(path="tracking.details", meaning="Any JSON object.", example={"agent": 4}),
    Option(
        path="output_config", meaning="How outputs are written.", example={"srt_overrides": {"max_line_length": 32}}
    ),
    Option(
        path="output_config.srt_overrides",
        meaning="The shape of subtitles, SRT and VTT.",
        example={"max_line_length": 32, "max_lines": 1},
    ),
    Option(
        path="output_config.srt_overrides.max_line_length",
        meaning="Characters of a line.",
        default="37",
        example=32,
    ),
    Option(path="output_config.srt_overrides.max_lines", meaning="Lines of a subtitle.", default="2", example=1),
    Option(path="output_config.generate_lattice", meaning="Accepted; it has no effect.", example=False),
    Option(
        path="translation_config",
        meaning="Translations of each sentence; a pair without a backend is refused ([intelligence.md](intelligence.md)).",
        example={"target_languages": ["de"]},
    ),
    Option(
        path="translation_config.target_languages[]",
        meaning="At most 5 languages; the language of the transcript itself gives its own sentences.",
        example=["de", "fr"],
    ),
    Option(
        path="translation_config.enable_partials", meaning="Accepted; it has no effect in a batch job.", example=False
    ),
    Option(
        path="language_identification_config",
        meaning="For `language: auto`.",
        example={"expected_languages": ["en", "de"]},
    ),
    Option(
        path="language_identification_config.expected_languages[]",
        meaning="Only these languages are considered. A language that cannot be identified here is refused.",
        example=["en", "de"],
    ),
    Option(
        path="language_identification_config.low_confidence_action",
        meaning="When no language is likely enough: `reject` the job, `allow` the likeliest one, or `use_default_language`.",
        default="`reject`",
        example="use_default_language",
    ),
    Option(
        path="language_identification_config.default_language",
        meaning="The language for `use_default_language`, and for media without speech.",
        example="en",
    ),
    Option(
        path="summarization_config",
        meaning="A summary of sentences as they were spoken (intelligence.md).",
        example={"summary_type": "bullets"},
    ),
    Option(
        path="summarization_config.content_type",
        meaning="`informative`, `conversational` (quotes each voice), or `auto`: conversational with two voices.",
        example="auto",
    ),
    Option(
        path="summarization_config.summary_length",
        meaning="`brief`: at most 3 sentences; `detailed`: at most 10.",
        example="brief",
    ),
    Option(path="summarization_config.summary_type", meaning="`paragraphs` or `bullets`.", example="bullets"),
    Option(
        path="sentiment_analysis_config",
        meaning="The sentiment of each sentence by a lexicon, English only (intelligence.md).",
        example={},
    ),
    Option(
        path="sentiment_analysis_config.enable_sentiment",
        meaning="`false`: as if the object were absent.",
        default="true",
        example=True,
    ),
    Option(
        path="topic_detection_config",
        meaning="The topics of parts of the transcript, English only; needs the model `minilm`.",
        example={"topics": ["prices"]},
    ),
    Option(
        path="topic_detection_config.topics[]",
        meaning="Your own topics instead of the default list; more than 10 are an error of the stage.",
        example=["prices", "delivery"],
    ),
    Option(
        path="auto_chapters_config",
        meaning="Chapters with titles and summaries, English only; needs the model `minilm`.",
        example={},
    ),
    Option(
        path="auto_chapters_config.enable_chapters",
        meaning="`false`: as if the object were absent.",
        default="true",
        example=True,
    ),
    Option(
        path="audio_events_config",
        meaning="Music and its times, with sums of speech and silence. Refused if every named type is one that is not detected.",
        example={"types": ["music"]},
    ),
    Option(
        path="audio_events_config.types[]",
        meaning="`applause`, `laughter`, `music`; only `music` is detected.",
        example=["music"],
    ),
)
"""In the order of a config that is read from top to bottom."""

BY_PATH = {option.path: option for option in OPTIONS}

_HEAD = """# Job options

This page lists every member of the JobConfig, the part `config` of `POST /v2/jobs`: what it does on this server, and an example.

```sh
curl -H "Authorization: Bearer $KEY" -F data_file=@call.wav \\
  -F config='{"type": "transcription", "transcription_config": {"language": "en", "diarization": "speaker"}}' \\
  http://localhost:8080/v2/jobs
```

Members that are not listed are ignored; a member that is `null` counts as absent; a value of the wrong type or outside its range is
refused with status 400 and a detail that names the member. *Engines* names those that honour the option; without a name all do, or
it concerns none. The page is made from `web/docs/job_options.py`: change it there, then run
`python -m sottovoce.web.docs.job_options > docs/job-options.md`.
"""


def markdown() -> str:
    """The page `docs/job-options.md`."""
    return f"{_HEAD}\n{table()}\n"


def table() -> str:
    """The options as a table in Markdown."""
    lines = ["| option | effect | default | engines | example |", "|---|---|---|---|---|"]
    lines += [
        f"| `{option.path}` | {option.meaning} | {option.default} | {option.engines} | `{orjson.dumps(option.example).decode()}` |"
        for option in OPTIONS
    ]
    return "\n".join(lines)


def paths(schema: dict[str, Any], definitions: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The path of every member of the JSON Schema *schema*, as `Option.path` writes it."""
    for name, member in schema.get("properties", {}).items():
        parts = [member, *member.get("anyOf", ())]
        found = next((part for part in parts if "$ref" in part or part.get("type") in {"array", "object"}), member)
        path = f"{prefix}{name}"
        if found.get("type") == "array":
            path += "[]"
            found = next((part for part in found["items"].get("anyOf", ()) if "$ref" in part), found["items"])
        yield path
        if "$ref" in found:
            yield from paths(definitions[found["$ref"].rpartition("/")[2]], definitions, f"{path}.")


if __name__ == "__main__":
    import sys

    sys.stdout.write(markdown())
