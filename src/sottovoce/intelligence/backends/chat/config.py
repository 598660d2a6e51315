"""The operator's settings of the chat backend."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatConfig:
    """*url*: the endpoint up to `/v1`. *key_file*: a file with the key, read where a request is made: settings of engines hold no
    secrets. *prompts*: a folder with `summary.txt` and so on, in place of the built-in prompts. *timeout*: seconds of one request.
    """

    url: str
    model: str
    key_file: Path | None = None
    prompts: Path | None = None
    ca_file: Path | None = None
    timeout: float = 60.0
    retries: int = 3
