"""The features of this region, from the capabilities of its engines, and the list of regions. No key is needed."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sottovoce.engines.protocols import Capabilities, Skill
from sottovoce.engines.registry import skilled
from sottovoce.pipeline.identification import UNSUPPORTED
from sottovoce.service.jobs.capabilities import CapabilityTable, spells
from sottovoce.service.regions import GENERAL, KNOWN, Mode, Region
from sottovoce.service.runtime import Runtime
from sottovoce.web.responses import JSON
from sottovoce.web.routing import Route
from sottovoce.wire import discovery as wire
from sottovoce.wire.discovery import Coverage, RegionInfo


def routes(runtime: Runtime, here: Region, urls: Mapping[str, str]) -> list[Route]:
    """`/v1/discovery/features` and `/v1/regions` of a server in the region *here*; *urls* maps regions to their addresses."""

    async def features(_request: Request) -> Response:
        # computed for each request: workers start and stop
        engines = runtime.offers.engines
        here_live = runtime.live_offers if runtime.live_offers.live else runtime.offers  # else of the region's workers
        live = here_live.live
        batch = replace(
            _coverage(engines, runtime.offers, Skill.TRANSCRIPTION),
            translations=runtime.offers.translated(),
            stages=runtime.offers.stages_of(),
        )
        realtime = replace(_coverage(live, here_live, Skill.LIVE), translations=here_live.translated())
        body = wire.features(
            batch=batch if Mode.BATCH in here.modes else None,
            realtime=realtime if live and Mode.REALTIME in here.modes else None,
        )
        return Response(orjson.dumps(body), media_type=JSON)

    async def regions(_request: Request) -> Response:
        infos = region_infos(here, urls, live=bool(runtime.live_offers.live or runtime.offers.live))
        return Response(orjson.dumps(wire.regions(here.name, infos)), media_type=JSON)

    return [
        Route(path="/v1/discovery/features", handlers={"GET": features}),
        Route(path="/v1/regions", handlers={"GET": regions}),
    ]


def region_infos(here: Region, urls: Mapping[str, str], *, live: bool) -> list[RegionInfo]:
    """The region *here*, the vendor's general regions, and the regions in *urls*.

    *live*: an engine here recognises live audio. Without one no region shows realtime: those of an installation have the same
    release, and a mode that is not there must not be named.
    """
    return [
        RegionInfo(
            name=name,
            label=name.upper(),
            place=found.place if found else None,
            modes=sorted(mode for mode in found.modes if live or mode is not Mode.REALTIME) if found else None,
            url=urls.get(name),
        )
        for name in dict.fromkeys((here.name, *GENERAL, *sorted(urls)))
        for found in (here if name == here.name else KNOWN.get(name),)
    ]


def _coverage(engines: Iterable[Capabilities], table: CapabilityTable, skill: Skill) -> Coverage:
    engines = skilled(engines, skill)
    languages = sorted({code for engine in engines for code in engine.languages})
    spelled = [name for names in wire.LOCALES.values() for name in names if spells(name)]
    heard = {code for engine in engines if engine.identifies_language for code in engine.languages}
    return Coverage(
        languages=languages,
        locales={code: names for code in languages if (names := wire.locales(code, spelled))},
        # identification never returns a bilingual pack, and some languages are never identified (contract §6.6)
        domains={code: found for code in languages if (found := table.domains_of(code, skill))},
        identified=sorted(code for code in heard - UNSUPPORTED if "_" not in code),
    )
