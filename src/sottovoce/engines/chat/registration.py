"""The engine of the chat backend: one offer for each stage, if an endpoint is configured.

`engines/registry.py` leaves the offers of the stages and languages for which `SOTTOVOCE_STAGES` names `chat`.
"""

from sottovoce.engines.config import CHAT, EngineConfig
from sottovoce.engines.engine import Engine
from sottovoce.engines.protocols import Capabilities
from sottovoce.intelligence.backends.chat.stages import LANGUAGES, ChatStage
from sottovoce.intelligence.stages import StageName

SKILLS = (StageName.SUMMARY, StageName.SENTIMENT, StageName.TOPICS, StageName.CHAPTERS, StageName.TRANSLATION)


def _offers(engine_config: EngineConfig) -> tuple[Capabilities, ...]:
    if engine_config.chat is None:
        return ()
    return tuple(
        Capabilities(
            engine=CHAT,
            model=engine_config.chat.model,
            languages=LANGUAGES,
            targets=LANGUAGES if skill is StageName.TRANSLATION else frozenset(),
            skills=frozenset({skill}),
        )
        for skill in SKILLS
    )


def _load(model: str, device: str, engine_config: EngineConfig) -> ChatStage:
    del model, device  # there is one
    from sottovoce.intelligence.backends.chat.client import ChatClient

    if engine_config.chat is None:
        raise ValueError("no endpoint is configured (SOTTOVOCE_CHAT_URL, SOTTOVOCE_CHAT_MODEL)")
    client = ChatClient(engine_config.chat, deadline=engine_config.stage_timeout * 0.95)
    return ChatStage(client, engine_config.chat.prompts)


ENGINE = Engine(name=CHAT, package="httpcore2", offers=_offers, loaders=dict.fromkeys(SKILLS, _load))
