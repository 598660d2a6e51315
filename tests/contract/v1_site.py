"""A server for the tests of V1, with billing, mail and a gate; how its answers are asked for, and what they look like."""

import re
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx

from tests.gated import Gate
from tests.listeners import Asked, Listener, Reply
from tests.postbox import Inbox
from tests.servers import PATIENCE, Server, tls, until

RFC1123 = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
CTIME = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d \d{4}")
DECIMALS = re.compile(r"\d+\.\d{3}")


def heard(text: str) -> list[str]:
    """The words of *text* without marks, which are the recogniser's own choice."""
    return re.sub(r"[.,?!]", "", text).split()


@dataclass
class Site:
    """A server with billing, mail and a gate (open at first), and two accounts: the operator's, and a poor one."""

    server: Server
    gate: Gate
    inbox: Inbox
    receiver: Listener
    poor: tuple[int, str]

    def command(self, *arguments: str) -> str:
        """The output of a command, as the operator runs it beside the server."""
        return self.server.told(*arguments)

    def ask(self, method: str, path: str, *, token: str | None = None, **more: Any) -> httpx.Response:
        """The answer below `/v1.0`."""
        params = {"auth_token": self.server.key if token is None else token, **more.pop("params", {})}
        with httpx.Client(timeout=PATIENCE, verify=tls()) as client:
            return client.request(method, f"{self.server.url}/v1.0{path}", params=params, **more)

    def get(self, path: str, **params: str) -> Any:
        answer = self.ask("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        return answer.json()

    def post(self, audio: Path, **fields: str) -> dict[str, Any]:
        with audio.open("rb") as file:
            answer = self.ask("POST", "/user/1/jobs/", data=fields, files={"data_file": (audio.name, file)})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def ended(self, number: int) -> dict[str, Any]:
        """The job once it has nothing to wait for."""

        def look() -> dict[str, Any] | None:
            job = self.get(f"/user/1/jobs/{number}/")["job"]
            return job if job["check_wait"] is None else None

        return until(look, "end of the job")

    def letters(self, address: str, number: int) -> list[EmailMessage]:
        return [letter for letter in self.inbox.to(address) if f"Job {number}:" in letter["Subject"]]


def receive(asked: Asked, _number: int) -> Reply:
    """What the receiver of callbacks says: `/ok` is taken, `/status/500` is answered so."""
    return Reply(status=int(asked.path.rpartition("/")[2])) if "/status/" in asked.path else Reply()
