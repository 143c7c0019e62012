"""The address that a server listens on: found by name, tried, and written as each part needs it."""

import socket

from voiceman.errors import EnvironmentCheckError

_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # recognised, not chosen


def find_address(host: str) -> str:
    """The numeric address of a host, IPv4 before IPv6.

    Triton's HTTP server takes a name for 255.255.255.255, without an error.

    Raises:
        EnvironmentCheckError: there is no such host.
    """
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as err:
        reason = (isinstance(err, OSError) and err.strerror) or "not a host name"
        raise EnvironmentCheckError(
            f"host {host!r}: {reason}; set --host to an address of this machine"
        ) from err
    addresses = sorted(found, key=lambda entry: entry[0] == socket.AF_INET6)
    return str(addresses[0][4][0])


def bind(address: str, port: int) -> socket.socket:
    """A socket at a numeric address; port 0: any free one.

    Raises:
        OSError: the address is not this machine's, or the port is taken.
    """
    one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        # A port whose last connections still linger is free for a server.
        if port:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((address, port))
    except OSError:
        one.close()
        raise
    return one


def reachable(address: str) -> str:
    """Where a client on this machine reaches a server that listens on `address`."""
    return _LOOPBACK.get(address, address)


def in_url(address: str) -> str:
    """An address as it stands before `:port`, for gRPC too."""
    return f"[{address}]" if ":" in address else address


def for_http_server(address: str) -> str:
    """An address as libevhtp wants it, Triton's server for HTTP and metrics."""
    return f"ipv6:{address}" if ":" in address else address
