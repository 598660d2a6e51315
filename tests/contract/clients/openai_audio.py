"""What a program does with PyPI `openai`, unmodified: every format, streams, models, errors. Prints `PASS`.

Runs in `.venv-clients` with the address, the key and a media file; *expected* text is printed by the server's other answers.
"""

import asyncio
import sys

import openai

url, key, audio = sys.argv[1:]
client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=300)
create = client.audio.transcriptions.create


def media():
    return open(audio, "rb")  # noqa: PTH123 - as in the package's own examples


plain = create(model="whisper-1", file=media())
assert isinstance(plain, openai.types.audio.Transcription), plain
assert len(plain.text.split()) > 20
assert plain.usage is not None
assert plain.usage.type == "duration"

text = create(model="gpt-4o-transcribe", file=media(), response_format="text")
assert text.strip() == plain.text, text
srt = create(model="whisper-1", file=media(), response_format="srt")
assert srt.startswith("1\n00:00:0"), srt
vtt = create(model="whisper-1", file=media(), response_format="vtt")
assert vtt.startswith("WEBVTT"), vtt

verbose = create(
    model="whisper-1",
    file=media(),
    response_format="verbose_json",
    timestamp_granularities=["word", "segment"],
    language="en",
    prompt="Ada, Lovelace",
    temperature=0.2,
)
assert isinstance(verbose, openai.types.audio.TranscriptionVerbose), verbose
assert verbose.language == "english"
assert verbose.duration > 15
assert verbose.text == plain.text
assert verbose.words is not None
assert len(verbose.words) == len(plain.text.split())
assert verbose.segments is not None
for segment in verbose.segments:
    openai.types.audio.TranscriptionSegment.model_validate(segment.model_dump(), strict=True)

diarized = create(
    model="gpt-4o-transcribe-diarize", file=media(), response_format="diarized_json", chunking_strategy="auto"
)
assert isinstance(diarized, openai.types.audio.TranscriptionDiarized), diarized
assert diarized.segments[0].speaker
assert diarized.task == "transcribe"

with create(
    model="gpt-4o-transcribe",
    file=media(),
    stream=True,
    include=["logprobs"],
    chunking_strategy={"type": "server_vad", "threshold": 0.5},
    keywords=["Ada", "Lovelace"],
) as stream:
    found = list(stream)
assert found[-1].type == "transcript.text.done", found
assert found[-1].text == plain.text
assert "".join(event.delta for event in found[:-1]) == plain.text
assert {event.type for event in found[:-1]} == {"transcript.text.delta"}

with create(model="gpt-4o-transcribe-diarize", file=media(), stream=True, response_format="diarized_json") as stream:
    kinds = {event.type for event in stream}
assert kinds == {"transcript.text.delta", "transcript.text.segment", "transcript.text.done"}, kinds

names = [model.id for model in client.models.list()]
assert "whisper-1" in names
assert client.models.retrieve("whisper-1").owned_by == "sottovoce"


def refused(kind, call):
    """The error of *call*, which is of this kind and has a message."""
    try:
        call()
    except kind as error:
        found = error
    else:
        raise AssertionError(kind)
    assert found.body["message"]
    return found


error = refused(openai.NotFoundError, lambda: create(model="none", file=media()))
assert (error.code, error.param, error.type) == ("model_not_found", "model", "invalid_request_error")
error = refused(openai.BadRequestError, lambda: create(model="whisper-1", file=("a.wav", b"no media at all")))
assert error.code == "audio_unreadable"
refused(openai.BadRequestError, lambda: create(model="whisper-1", file=("a.wav", b"no media"), stream=True))
error = refused(openai.BadRequestError, lambda: client.audio.translations.create(model="whisper-1", file=media()))
assert "models pull" in error.message
stranger = openai.OpenAI(base_url=f"{url}/v1", api_key="unknown", max_retries=0)
refused(openai.AuthenticationError, stranger.models.list)


async def asynchronous():
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=300) as other:
        stream = await other.audio.transcriptions.create(model="whisper-1", file=media(), stream=True)
        events = [event async for event in stream]
    assert events[-1].text == plain.text


asyncio.run(asynchronous())
print("PASS")
