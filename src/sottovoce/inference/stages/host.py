"""The process of the stages of one job: runs one stage after another until its parent closes the socket.

Started as `python -m sottovoce.inference.stages.host FD PARENT CONFIG` by `process`; CONFIG is the `EngineConfig` as JSON.
"""

import socket
import sys
import traceback
from pathlib import Path

import orjson
from pydantic import TypeAdapter

from sottovoce.engines import gaps, registry
from sottovoce.engines.config import BUILTIN, CHAT, EngineConfig
from sottovoce.engines.engine import EngineKey
from sottovoce.inference import messages as m
from sottovoce.inference.frame_socket import FrameSocket, die_with_parent
from sottovoce.intelligence.protocols import StageRefused, UnsupportedLanguage, supports
from sottovoce.intelligence.stages import StageName
from sottovoce.pipeline.results import STAGES_BY_NAME, UNSUPPORTED, ResultContext, scene_of
from sottovoce.transcript import codec


def answer(
    message: m.RunStage, payload: bytes, engine_config: EngineConfig
) -> tuple[m.StageDone | m.StageFault, bytes]:
    """Run the stage that *message* names on the transcript in *payload*; return the answer, and the JSON of the result."""
    try:
        stage, transcript = STAGES_BY_NAME[message.stage], codec.decode(payload)
        key = _key(message, transcript.language, engine_config)
        backend = registry.load(StageName(stage.name), key, engine_config)
        if not supports(backend, transcript.language):
            return m.StageFault(type=UNSUPPORTED), b""
        context = ResultContext(
            path=Path(message.path),
            request=message.request,
            transcript=transcript,
            alive=lambda: None,  # the parent watches the deadline
            track=message.track,
            part=message.part,
        )
        return m.StageDone(), orjson.dumps(stage.run(scene_of(context), backend))
    except UnsupportedLanguage as error:
        return m.StageFault(type=UNSUPPORTED, why=error.why), b""
    except StageRefused as refused:
        return m.StageFault(type=refused.type, why=refused.message), b""
    except Exception:  # noqa: BLE001 - the parent reports it
        return m.StageFault(why=traceback.format_exc()), b""


def _key(message: m.RunStage, language: str, engine_config: EngineConfig) -> EngineKey:
    """Return the engine of *message*: the given one, unless the stage has parts or the language was only now identified.

    Raises `UnsupportedLanguage`.
    """
    stage = message.stage
    given = message.key
    if given is not None and not message.part and engine_config.backend(stage, language) == _kind(given):
        return given
    offers = registry.offered(engine_config)
    choice = registry.choose_stage(StageName(stage), language, offers, message.part)
    if choice is None:
        why = gaps.why_not(StageName(stage), language, offers, engine_config.stages, message.part)
        raise UnsupportedLanguage(language, why)
    return choice.key


def _kind(key: EngineKey) -> str:
    return CHAT if key.engine == CHAT else BUILTIN


def main(arguments: list[str]) -> int:
    """Run the process; return its exit code."""
    descriptor, parent, config = arguments
    die_with_parent(int(parent))
    engine_config = TypeAdapter(EngineConfig).validate_json(config)
    line = FrameSocket(socket.socket(fileno=int(descriptor)))
    while True:
        try:
            message, payload = line.receive()
        except EOFError:
            return 0
        if not isinstance(message, m.RunStage):
            raise TypeError(message.kind)
        line.send(*answer(message, payload, engine_config))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
