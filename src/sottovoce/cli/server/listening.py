"""The socket that a server listens on, and its address for display."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import socket


SEGMENT = 1440
"""Bytes of a TCP segment, as on Ethernet. With the 64 kB of a loopback connection, the kernel of a client or of a proxy on this
machine lets 4 MB of audio queue up before it slows the client down, instead of 1 MB; a WebSocket's pings wait behind it."""


def bound(host: str, port: int, chosen_by: str = "--port or SOTTOVOCE_PORT") -> "socket.socket":
    """A bound socket. Binding first resolves port 0 and detects a port in use. Raises `ClickException`.

    *chosen_by*: how a person chooses another port, for the message.
    """
    import errno
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        taken = error.errno in {errno.EADDRINUSE, errno.EACCES}
        advice = f"; choose another port with {chosen_by}" if taken else ""
        raise click.ClickException(f"cannot listen on {host} port {port}: {error.strerror}{advice}") from error
    return sock


def shown(host: str) -> str:
    """*host* for a URL that works on this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - shown, not bound
