"""A realtime server in the test's own process, on a free port, with the scripted recogniser."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sottovoce.bootstrap import plan
from sottovoce.cli.server.listening import bound
from sottovoce.service.runtime import Runtime
from sottovoce.settings import load
from sottovoce.web.api.realtime import Gateway, Recognizers
from sottovoce.web.app import create_app, create_gateway, server_config
from sottovoce.web.server import Server
from tests.scripted_live import Script
from tests.servers import until

KEY = "a-key-for-tests"


@dataclass
class LiveServer:
    """The address without a path, and the parts of the server."""

    address: str  # host:port
    script: Script
    runtime: Runtime
    gateway: Gateway
    server: Server

    @property
    def url(self) -> str:
        return f"ws://{self.address}"

    def renew(self) -> None:
        """Between two tests: the script as it was, and no session of the earlier one."""
        clean = Script()
        for name in ("refuse", "open_after", "fail_at", "buffer", "frozen", "pace", "load", "planner"):
            setattr(self.script, name, getattr(clean, name))
        until(lambda: len(self.gateway.sessions) == 0, "end of all sessions", 20)
        self.script.sessions.clear()


@contextlib.contextmanager
def live_server(home: Path, script: Script | None = None, **settings: object) -> Iterator[LiveServer]:
    """A server that runs until the block ends."""
    script = script or Script()
    loaded = load(**{"data_dir": home / "data", "api_key": KEY, "roles": "realtime", "drain_timeout": 5.0, **settings})
    runtime = Runtime(plan(loaded))
    runtime.start()
    try:
        gateway = create_gateway(
            loaded, runtime, Recognizers(open=script.open, load=lambda: script.load, plan=script.plan)
        )
        assert gateway is not None
        config = server_config(loaded, create_app(loaded, runtime, gateway), connections=500)
        server = Server(config, gateway.stop)
        sock = bound("127.0.0.1", 0)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        host, port = sock.getsockname()[:2]
        yield LiveServer(f"{host}:{port}", script, runtime, gateway, server)
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()
    finally:
        runtime.close()
