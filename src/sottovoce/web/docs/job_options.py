"""The page of all options of a job (`docs/job-options.md`), made from the models of `wire/v2/config_schema.py`."""

import orjson

from sottovoce.wire.config_options import options
from sottovoce.wire.v2.config_schema import JobConfig

_HEAD = """# Job options

This page lists every member of the JobConfig, the part `config` of `POST /v2/jobs`: what it does on this server, and an example.

```sh
curl -H "Authorization: Bearer $KEY" -F data_file=@call.wav \\
  -F config='{"type": "transcription", "transcription_config": {"language": "en", "diarization": "speaker"}}' \\
  http://localhost:8080/v2/jobs
```

Members that are not listed are ignored; a member that is `null` counts as absent; a value of the wrong type or outside its range is
refused with status 400 and a detail that names the member. *Engines* names those that honour the option; without a name all do, or
it concerns none. The page is made from the models in `wire/v2/config_schema.py`.
"""


def markdown() -> str:
    """The page `docs/job-options.md`."""
    return f"{_HEAD}\n{table()}\n"


def table() -> str:
    """The options as a table in Markdown."""
    lines = ["| option | effect | default | engines | example |", "|---|---|---|---|---|"]
    lines += [
        f"| `{path}` | {option.meaning} | {option.default} | {option.engines} | `{orjson.dumps(option.example).decode()}` |"
        for path, option in options(JobConfig)
    ]
    return "\n".join(lines)
