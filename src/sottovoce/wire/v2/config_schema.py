"""Pydantic models of the `config` part of `POST /v2/jobs` (contract §6), one for each object of it.

Each member is declared with its type, its rule, and what the documentation says of it (`wire/config_options.py`). Unknown
members are ignored, and a member that is `null` is treated as absent, because older clients send it. Each model checks one
object; `config.py` checks conditions between objects. The types of values are in `wire/config_values.py`.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from sottovoce.wire.config_options import Option, optional, required
from sottovoce.wire.config_values import (
    MAX_IDENTIFIERS,
    MAX_NOTIFICATIONS,
    MAX_REPLACEMENTS,
    MAX_RULE,
    MAX_VOCAB_ENTRIES,
    ChannelLabels,
    Code,
    Codes,
    Contents,
    Diarization,
    EventTypes,
    Fraction,
    HeaderLines,
    Identifier,
    LineCount,
    LineLength,
    Marks,
    Name,
    OperatingPointName,
    Part,
    Percentage,
    PlainCode,
    PlainCodes,
    Seconds,
    SpeakerLabel,
    Spellings,
    Tags,
    Targets,
    Text,
    Topics,
    Url,
    as_list,
    one_of,
    refuse,
    unless,
)
from sottovoce.wire.formats.table import FORMATS


class _OrString:
    """States in the JSON Schema of an object that a string is accepted too."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema of the object, or of a string."""
        return {"anyOf": [handler(schema), {"type": "string"}]}


class VocabItem(Part):
    """One entry of `additional_vocab`; a plain string is an entry without `sounds_like`, as in Realtime."""

    content: str = required("The word or phrase as it is to be written.", example="gnocchi")
    sounds_like: Spellings | None = optional(
        "Spellings that sound like it.", engines="Whisper, PocketSphinx", example=["nyohki", "nokey"]
    )

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, data: Any) -> Any:
        if not isinstance(data, dict | str):
            refuse("must be an object with content, or a string")
        return {"content": data} if isinstance(data, str) else data


VocabItems = Annotated[list[Annotated[VocabItem, _OrString()]], Field(max_length=MAX_VOCAB_ENTRIES, fail_fast=True)]


class PunctuationConfig(Part):
    """`punctuation_overrides`; without `permitted_marks` all marks are permitted, with an empty list none (contract §6.2)."""

    sensitivity: Fraction | None = optional(
        "0 to 1: higher values give more marks. Below 0.5 unsure marks are left out; above, more pauses get a comma.",
        default="0.5",
        example=0.4,
    )
    permitted_marks: Marks | None = optional(
        "The marks to keep, `all` for every mark. An empty list means no marks.",
        default="all marks",
        example=[",", "."],
    )


class AudioFilteringConfig(Part):
    """`audio_filtering_config`; an empty object requests volumes without filtering."""

    volume_threshold: Percentage | None = optional(
        "The volume, 0 to 100, under which audio is left out.", default="0", example=3.4
    )


class ReplacementRule(Part):
    """One rule; the only object of the config whose unknown members are refused (contract §6.2)."""

    model_config = ConfigDict(extra="forbid")

    source: Annotated[str, Field(alias="from", min_length=1, max_length=MAX_RULE)] = required(
        "A word, or a regular expression between slashes. One that takes too long on the transcript rejects the job.",
        example="/^colou?r$/",
    )
    target: Annotated[str, Field(alias="to", max_length=MAX_RULE)] = required(
        "The replacement; `$1` is the first group.", example="colour"
    )


class TranscriptFilteringConfig(Part):
    """`transcript_filtering_config`; a malformed `/regex/` fails the job later, not the submission (contract §6.2)."""

    remove_disfluencies: bool | None = optional(
        "Leave out hesitations such as *um* (17 languages). Without it they are tagged.", default="false", example=True
    )
    replacements: Annotated[list[ReplacementRule], Field(max_length=MAX_REPLACEMENTS, fail_fast=True)] | None = (
        optional(
            "Replacement rules, applied in order to words that no rule has changed.",
            example=[{"from": "foo", "to": "bar"}, {"from": "/^colou?r$/", "to": "colour"}],
        )
    )


class EnrolledSpeaker(Part):
    """An enrolled speaker (contract §6.2, `speakers[]`)."""

    label: SpeakerLabel = required("The name to write; not S1, S2 … or UU.", example="Anna")
    speaker_identifiers: Annotated[
        list[Identifier],
        Field(min_length=1, max_length=MAX_IDENTIFIERS, fail_fast=True),
        unless(lambda found: len(set(found)) != len(found), "must not hold the same identifier twice"),
    ] = required(
        "Identifiers from `get_speakers`. Those of another project or diarizer are ignored; the job's log says so.",
        example=["AAEC…"],
    )


def _too_many_identifiers(speakers: list[EnrolledSpeaker]) -> bool:
    return sum(len(speaker.speaker_identifiers) for speaker in speakers) > MAX_IDENTIFIERS


EnrolledSpeakers = Annotated[
    list[EnrolledSpeaker],
    Field(max_length=MAX_IDENTIFIERS, fail_fast=True),
    unless(_too_many_identifiers, f"must hold at most {MAX_IDENTIFIERS} speaker identifiers in all"),
]


class SpeakerDiarizationConfig(Part):
    """`speaker_diarization_config`."""

    speaker_sensitivity: Fraction | None = optional(
        "0 to 1; a higher value finds more speakers.", default="0.5", example=0.6
    )
    prefer_current_speaker: bool | None = optional(
        "Change the speaker only on clear evidence.", default="false", example=True
    )
    get_speakers: bool | None = optional(
        "Return an identifier for each speaker, with which later jobs of the project know the voice again.",
        default="false",
        example=True,
    )
    speakers: EnrolledSpeakers | None = optional(
        "Speakers to be labelled by name; at most 50 identifiers in all.",
        example=[{"label": "Anna", "speaker_identifiers": ["AAEC…"]}],
    )


class TranscriptionConfig(Part):
    """`transcription_config` (contract §6.2). The last four members have no effect in batch, but clients send them."""

    language: Code = required(
        "The language of the speech, or `auto` to have it identified. A language that no engine here knows is refused.",
        engines="`auto`: Whisper with a multilingual model",
        example="en",
    )
    domain: Name | None = optional(
        "A domain that the operator set up: its vocabulary, engine or model. Others are refused, with those installed.",
        example="medical",
    )
    output_locale: Name | None = optional(
        "The spelling of the output: `en-GB`, `en-US`, `en-AU`, `cmn-Hans` or `cmn-Hant`.",
        default="`cmn-Hans` for Mandarin",
        example="cmn-Hant",
    )
    model: OperatingPointName | None = optional(
        "`standard` or `enhanced`: the smaller or the larger of the models that the server has for the language.",
        default="`standard`",
        example="enhanced",
    )
    operating_point: OperatingPointName | None = optional(
        "The older name of `model`, which wins.", default="`standard`", example="enhanced"
    )
    additional_vocab: VocabItems | None = optional(
        "Custom words, as objects or strings; at most 1,000. Entries of more than 6 words are left out.",
        engines="Whisper, PocketSphinx",
        example=[{"content": "gnocchi", "sounds_like": ["nyohki"]}, "Sottovoce"],
    )
    punctuation_overrides: PunctuationConfig | None = optional(
        "Which marks are written.", example={"permitted_marks": [".", "?"]}
    )
    diarization: Diarization | None = optional(
        "`speaker` labels each word S1, S2 …; `channel` transcribes each channel of the media by itself.",
        default="`none`",
        example="speaker",
    )
    channel_diarization_labels: ChannelLabels | None = optional(
        "Names of the channels, for `diarization: channel`; at most 100.",
        default="`channel_1`, `channel_2` …",
        example=["Agent", "Caller"],
    )
    enable_entities: bool | None = optional(
        "Show numbers, dates and addresses as entities with spoken and written form. The text is the same without it.",
        default="false",
        example=True,
    )
    audio_filtering_config: AudioFilteringConfig | None = optional(
        "Give each word its volume, and leave out quiet speech. An empty object gives volumes and leaves nothing out.",
        example={"volume_threshold": 3.4},
    )
    transcript_filtering_config: TranscriptFilteringConfig | None = optional(
        "Changes to the finished text.", example={"remove_disfluencies": True}
    )
    speaker_diarization_config: SpeakerDiarizationConfig | None = optional(
        "For `diarization: speaker`.", example={"speaker_sensitivity": 0.6}
    )
    language_hints: Codes | None = optional(
        "Accepted; it has no effect: it belongs to the vendor's multilingual model.", example=["en", "es"]
    )
    language_hints_strict: bool | None = optional("Accepted; it has no effect, as `language_hints`.", example=True)
    max_delay: Seconds | None = optional("Accepted; it has no effect in a batch job.", example=4)
    max_delay_mode: Annotated[str, one_of("fixed", "flexible")] | None = optional(
        "`fixed` or `flexible`; it has no effect in a batch job.", example="flexible"
    )
    enable_partials: bool | None = optional("Accepted; it has no effect in a batch job.", example=False)


class AlignmentConfig(Part):
    """`alignment_config` (contract §10): the text is in one known language."""

    language: PlainCode = required(
        "The language of the text.", engines="English: PocketSphinx; other languages: CTC models", example="en"
    )


class FetchConfig(Part):
    """`fetch_data` and `fetch_text` (contract §6.3)."""

    url: Url = required("An http or https URL; private addresses are refused.", example="https://example.org/call.mp3")
    auth_headers: HeaderLines | None = optional(
        "Header lines to send with the request.", example=["Authorization: Bearer abc"]
    )


class NotificationConfig(FetchConfig):
    """An entry of `notification_config` (contract §9.1); without `contents` the old attachment is sent, with [] no body."""

    url: Url = required(
        "An http or https URL. `id` and `status` are added to its query. Private addresses are refused.",
        example="https://example.org/hook",
    )
    auth_headers: HeaderLines | None = optional(
        "Header lines to send with the notification.", example=["Authorization: Bearer abc"]
    )
    contents: Contents | None = optional(
        f"What to send: `jobinfo`, `transcript` (or `transcript.{'`, `.'.join(FORMATS)}`), `data`, `text`, `alignment` (or "
        "`alignment.word_start_and_end`, `.one_per_line`). One is the body itself, several are parts of a form, [] is no body.",
        default="the transcript as a file",
        example=["transcript.txt", "jobinfo"],
    )
    method: Annotated[str, one_of("post", "put")] | None = optional("`post` or `put`.", default="`post`", example="put")


Notifications = Annotated[
    list[NotificationConfig], Field(max_length=MAX_NOTIFICATIONS, fail_fast=True), BeforeValidator(as_list)
]


class TrackingConfig(Part):
    """`tracking` (contract §6.4); `details` is any object, limited only by the size of the whole config."""

    title: Text | None = optional("A title.", example="Call 17")
    reference: Text | None = optional("A reference in your own system.", example="r-17")
    tags: Tags | None = optional("Tags.", example=["sales"])
    details: dict[str, Any] | None = optional("Any JSON object.", example={"agent": 4})


class SrtOverrides(Part):
    """`output_config.srt_overrides` (contract §6.5)."""

    max_line_length: LineLength | None = optional("Characters of a line.", default="37", example=32)
    max_lines: LineCount | None = optional("Lines of a subtitle.", default="2", example=1)


class OutputConfig(Part):
    """`output_config` (contract §6.5); one client sends `generate_lattice`, which has no effect."""

    srt_overrides: SrtOverrides | None = optional(
        "The shape of subtitles, SRT and VTT.", example={"max_line_length": 32, "max_lines": 1}
    )
    generate_lattice: bool | None = optional("Accepted; it has no effect.", example=False)


class TranslationConfig(Part):
    """`translation_config` (contract §6.1)."""

    target_languages: Targets = required(
        "At most 5 languages; the language of the transcript itself gives its own sentences.", example=["de", "fr"]
    )
    enable_partials: bool | None = optional("Accepted; it has no effect in a batch job.", example=False)


class LanguageIdentificationConfig(Part):
    """`language_identification_config` (contract §6.6)."""

    expected_languages: PlainCodes | None = optional(
        "Only these languages are considered. A language that cannot be identified here is refused.",
        example=["en", "de"],
    )
    low_confidence_action: Annotated[str, one_of("allow", "reject", "use_default_language")] | None = optional(
        "When no language is likely enough: `reject` the job, `allow` the likeliest one, or `use_default_language`.",
        default="`reject`",
        example="use_default_language",
    )
    default_language: PlainCode | None = optional(
        "The language for `use_default_language`, and for media without speech.", example="en"
    )


class SummarizationConfig(Part):
    """`summarization_config` (contract §6.7)."""

    content_type: Annotated[str, one_of("auto", "informative", "conversational")] | None = optional(
        "`informative`, `conversational` (quotes each voice), or `auto`: conversational with two voices.",
        example="conversational",
    )
    summary_length: Annotated[str, one_of("brief", "detailed")] | None = optional(
        "`brief`: at most 3 sentences; `detailed`: at most 10.", example="detailed"
    )
    summary_type: Annotated[str, one_of("paragraphs", "bullets")] | None = optional(
        "`paragraphs` or `bullets`.", example="paragraphs"
    )


class SentimentAnalysisConfig(Part):
    """`sentiment_analysis_config` (contract §6.1): its presence requests the feature, unless the member is `false`."""

    enable_sentiment: bool = optional(
        "`false`: as if the object were absent.", default="true", example=False, value=True
    )


class TopicDetectionConfig(Part):
    """`topic_detection_config`; too many topics are an error of the stage, not of the config (contract §6.8)."""

    topics: Topics | None = optional(
        "Your own topics instead of the default list; more than 10 are an error of the stage.",
        example=["prices", "delivery"],
    )


class AutoChaptersConfig(Part):
    """`auto_chapters_config` (contract §6.1): its presence requests the feature, unless the member is `false`."""

    enable_chapters: bool = optional(
        "`false`: as if the object were absent.", default="true", example=False, value=True
    )


class AudioEventsConfig(Part):
    """`audio_events_config` (contract §6.1)."""

    types: EventTypes | None = optional("`applause`, `laughter`, `music`; only `music` is detected.", example=["music"])


class JobConfig(Part):
    """The whole `config` part (contract §6.1)."""

    type: Annotated[str, one_of("transcription", "alignment")] = required(
        "What to do: `transcription`, or `alignment` of a given text.", example="transcription"
    )
    transcription_config: TranscriptionConfig | None = optional(
        "Required for `type: transcription`.", example={"language": "en"}
    )
    alignment_config: AlignmentConfig | None = optional("Required for `type: alignment`.", example={"language": "en"})
    fetch_data: FetchConfig | None = optional(
        "Fetch the media from a URL instead of the part `data_file`.", example={"url": "https://example.org/call.mp3"}
    )
    fetch_text: FetchConfig | None = optional(
        "For alignments: fetch the text from a URL instead of the part `text_file`.",
        example={"url": "https://example.org/call.txt"},
        parts={
            "url": Option(meaning="As `fetch_data.url`.", example="https://example.org/call.txt"),
            "auth_headers": Option(meaning="As `fetch_data.auth_headers`.", example=["X-Token: abc"]),
        },
    )
    notification_config: Notifications | None = optional(
        "Whom to notify when the job has ended; at most 3 entries, or one object.",
        example=[{"url": "https://example.org/hook", "contents": ["transcript"]}],
    )
    tracking: TrackingConfig | None = optional(
        "Your own data: returned in the job and in the transcript, never read.",
        example={"title": "Call 17", "reference": "r-17", "tags": ["sales"], "details": {"agent": 4}},
    )
    output_config: OutputConfig | None = optional(
        "How outputs are written.", example={"srt_overrides": {"max_line_length": 32}}
    )
    translation_config: TranslationConfig | None = optional(
        "Translations of each sentence; a pair without a backend is refused ([intelligence.md](intelligence.md)).",
        example={"target_languages": ["de"]},
    )
    language_identification_config: LanguageIdentificationConfig | None = optional(
        "For `language: auto`.", example={"expected_languages": ["en", "de"]}
    )
    summarization_config: SummarizationConfig | None = optional(
        "A summary of sentences as they were spoken (intelligence.md).", example={"summary_type": "bullets"}
    )
    sentiment_analysis_config: SentimentAnalysisConfig | None = optional(
        "The sentiment of each sentence by a lexicon, English only (intelligence.md).", example={}
    )
    topic_detection_config: TopicDetectionConfig | None = optional(
        "The topics of parts of the transcript, English only; needs the model `minilm`.", example={"topics": ["prices"]}
    )
    auto_chapters_config: AutoChaptersConfig | None = optional(
        "Chapters with titles and summaries, English only; needs the model `minilm`.", example={}
    )
    audio_events_config: AudioEventsConfig | None = optional(
        "Music and its times, with sums of speech and silence. Refused if every named type is one that is not detected.",
        example={"types": ["music"]},
    )
