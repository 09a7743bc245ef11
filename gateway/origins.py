"""Which pages may connect and under which names the gateway answers.

`Host` is checked as well as `Origin`: otherwise a foreign name that resolves to this address
(DNS rebinding) would count as the gateway's own origin. Forwarding headers are not believed.
"""

from urllib.parse import SplitResult, urlsplit

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Whether a host name means this machine only."""
    return host.strip("[]").lower() in _LOOPBACK


def host_allowed(host_header: str, own_host: str, origins: tuple[str, ...]) -> bool:
    """Whether a request that names this host is meant for the gateway."""
    name = _host_name(f"http://{host_header}")
    if name is None:
        return False
    known = {own_host.lower(), *(_host_name(origin) for origin in origins)}
    return is_loopback(name) or name in known


def origin_allowed(origin: str | None, host_header: str, origins: tuple[str, ...]) -> bool:
    """Whether a page of this origin may connect; a client without an origin is no browser page."""
    if origin is None:
        return True
    parts = _parts(origin)
    if parts is None or parts.scheme not in {"http", "https"}:
        return False
    if origin in origins or parts.netloc.lower() == host_header.lower():
        return True
    return not origins and parts.hostname is not None and is_loopback(parts.hostname)


def is_origin(text: str) -> bool:
    """Whether a text is a web origin and no more: scheme, host, perhaps a port."""
    parts = _parts(text)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        return False
    return not (parts.path or parts.query or parts.fragment or "*" in text)


def _host_name(url: str) -> str | None:
    parts = _parts(url)
    return None if parts is None else parts.hostname


def _parts(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None
