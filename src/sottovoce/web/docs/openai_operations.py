"""The operations of OpenAI's audio API, with the texts of the reference."""

from sottovoce.web.docs.operation import Operation
from sottovoce.wire.openai_audio.form import FORMATS

_FILE = ("file", "media", "The media, of any size up to this server's limit; any format that FFmpeg reads.")
_MODEL = ("model", "text", "`whisper-1`, `standard`, `enhanced`, or another name from `GET /v1/models`.")
_PROMPT = ("prompt", "optional", "Names and terms, which are used as custom words where the audio sounds like them.")
_TEMPERATURE = ("temperature", "optional", "0 to 1; without effect.")
_ERRORS = (
    (400, "A part is missing or wrong, or the media cannot be decoded; `param` names the part."),
    (403, "The key may not do this."),
    (404, "The server does not have the model."),
    (408, "The body did not arrive in time."),
    (410, "The job was deleted while it ran."),
    (413, "The media is larger than this server accepts."),
    (507, "The server has no storage space for the media."),
)

OPENAI: tuple[Operation, ...] = (
    Operation(
        id="openai_transcribe",
        tag="openai",
        method="POST",
        path="/audio/transcriptions",
        summary="OpenAI: transcribe",
        description=(
            "The answer waits for the end of the job. With `stream` it is a series of events: `transcript.text.delta` while the "
            "transcript grows, `transcript.text.done` with the whole text. The job is deleted afterwards, and when the client "
            "disconnects."
        ),
        returns="The transcript in the requested format.",
        media_types=("application/json", "text/plain", "text/event-stream"),
        form=(
            _FILE,
            _MODEL,
            ("language", "optional", "Code or English name; without it the language is identified."),
            ("response_format", "optional", f"{', '.join(FORMATS)}; default: json."),
            ("timestamp_granularities[]", "list", "`word`, `segment` or both, with `verbose_json`; default: segment."),
            ("stream", "optional", "`true`: events while the transcript grows."),
            _PROMPT,
            ("keywords[]", "list", "Custom words."),
            ("languages[]", "list", "Languages that may be spoken."),
            _TEMPERATURE,
            ("include[]", "list", "Without effect."),
            ("chunking_strategy", "optional", "Without effect: the server always cuts where there is no speech."),
        ),
        errors=_ERRORS,
    ),
    Operation(
        id="openai_translate",
        tag="openai",
        method="POST",
        path="/audio/translations",
        summary="OpenAI: translate into English",
        description=(
            "Whisper's own translation, which needs a multilingual model. That of the small models is a rough draft. "
            "The answer waits for the end of the job, which is deleted afterwards."
        ),
        returns="The translation in the requested format.",
        media_types=("application/json", "text/plain"),
        form=(
            _FILE,
            _MODEL,
            ("language", "optional", "The language that is spoken; without it, it is identified."),
            ("response_format", "optional", "json, text, srt, verbose_json or vtt; default: json."),
            ("prompt", "optional", "Without effect."),
            _TEMPERATURE,
        ),
        errors=_ERRORS,
    ),
    Operation(
        id="openai_models",
        tag="openai",
        method="GET",
        path="/models",
        summary="OpenAI: list models",
        description="OpenAI's names, which stand for the operating points, and the models of this server.",
        returns="The models.",
        media_types=("application/json",),
    ),
    Operation(
        id="openai_model",
        tag="openai",
        method="GET",
        path="/models/{model_id}",
        summary="OpenAI: get a model",
        description="Whether requests may name it.",
        returns="The model.",
        media_types=("application/json",),
        errors=((404, "The server does not have the model."),),
    ),
)
