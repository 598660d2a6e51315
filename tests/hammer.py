"""A client process that sends requests without a pause: `python -m tests.hammer URL KEY TIMES`, started together with others.

It prints `ready`, waits for a line, requests the newest job TIMES times over one connection, and prints the results as JSON.
"""

import http.client
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from tests.servers import PATIENCE, ROOT

PATH = "/v2/jobs?limit=1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The results of one client: answers by status, refusals without `Retry-After`, and start and end (monotonic seconds)."""

    statuses: dict[str, int]
    unsaid: int
    began: float
    ended: float

    @property
    def granted(self) -> int:
        """The number of answers with status 200."""
        return self.statuses.get("200", 0)


def hammer(urls: Sequence[str], key: str, times: int) -> list[Told]:
    """Run one client for each of *urls*, all at once, and return their results."""
    command = [sys.executable, "-m", "tests.hammer"]
    clients = [
        subprocess.Popen([*command, url, key, str(times)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        for url in urls
    ]
    try:
        for client in clients:
            assert client.stdout is not None
            assert client.stdout.readline() == b"ready\n"
        for client in clients:
            assert client.stdin is not None
            client.stdin.write(b"go\n")
            client.stdin.flush()
        return [Told(**json.loads(client.communicate(timeout=PATIENCE)[0])) for client in clients]
    finally:
        for client in clients:
            client.kill()
            client.communicate()


def _ask(url: str, key: str, times: int) -> Told:
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=PATIENCE)
    connection.connect()
    headers = {"Authorization": f"Bearer {key}"}
    statuses: Counter[str] = Counter()
    unsaid = 0
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.monotonic()
    for _ in range(times):
        connection.request("GET", PATH, headers=headers)
        answer = connection.getresponse()
        answer.read()
        statuses[str(answer.status)] += 1
        unsaid += answer.status == http.client.TOO_MANY_REQUESTS and int(answer.headers.get("retry-after", "0")) < 1
    return Told(statuses=dict(statuses), unsaid=unsaid, began=began, ended=time.monotonic())


if __name__ == "__main__":
    print(json.dumps(asdict(_ask(sys.argv[1], sys.argv[2], int(sys.argv[3])))))
