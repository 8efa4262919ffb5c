"""Taking a port, and refusing to open this machine to everyone."""

import ipaddress
import socket

from domain.errors import fail


def listen(host: str, port: int, *, guarded: bool) -> socket.socket:
    """A socket that listens; port 0 takes a free one.

    Raises HextuneError where the port cannot be had, or where a host that others can reach would
    be opened without a key.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        if not guarded and not ipaddress.ip_address(address[0]).is_loopback:
            raise fail("serve-needs-key", host=host)
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        raise fail("serve-port-taken", host=host, port=port, reason=error.strerror) from error
    return listener


def url(listener: socket.socket, host: str) -> str:
    """Where the API of a listening socket is."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}/v1"
