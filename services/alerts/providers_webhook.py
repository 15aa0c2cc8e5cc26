"""Webhooks handed over HTTP, to public addresses only.

A subscriber names the URL, so it could name a machine inside our own network (SSRF). The name is resolved here, every address
that it has must be public, and the connection goes to the very address that was judged: a name that answers otherwise the
second time (DNS rebinding) gains nothing. No redirect is followed, no proxy used, little of the answer read.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

import httpcore

from services.alerts.attempts import Answer
from services.alerts.providers_sms import retry_after_s

ANSWER_MOST_BYTES = 4_096

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SIX_TO_FOUR = ipaddress.ip_network("2002::/16")


class NotPublic(httpcore.ConnectError):
    """The name leads to an address that is not public."""


class Allowed:
    """Hosts and networks that may be reached although they are not public: for tests and closed networks."""

    def __init__(self, text: str = "") -> None:
        words = [word.strip() for word in text.split(",") if word.strip()]
        self._hosts = {word.lower() for word in words if not _network(word)}
        self._networks = [network for word in words if (network := _network(word))]

    def host(self, name: str) -> bool:
        return name.lower() in self._hosts

    def address(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _network(word: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(word)
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether anybody on the internet could be reached by it. IPv6 forms that carry an IPv4 address are judged by that."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


class _Guarded(httpcore.AsyncNetworkBackend):
    """Resolves, judges, and connects to what was judged."""

    def __init__(self, allowed: Allowed) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._allowed = allowed

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._resolve(host, port, timeout)
        error: Exception = NotPublic("the name has no address")
        for address in addresses[:2]:
            try:
                return await self._inner.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
        raise error

    async def _resolve(self, host: str, port: int, timeout: float | None) -> Sequence[Address]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the name does not resolve: {type(error).__name__}") from None
        addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        # all of them: one private address among public ones is no accident
        good = self._allowed.host(host) or all(is_public(one) or self._allowed.address(one) for one in addresses)
        if not good:
            raise NotPublic("the name leads to an address that is not public")
        return addresses

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise NotPublic("no sockets of this machine")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class WebhookClient:
    """The port to subscribers' own servers."""

    name = "webhook"

    def __init__(self, timeout_s: float, allow: str = "", tls: ssl.SSLContext | None = None) -> None:
        self._timeout_s = timeout_s
        self._allowed = Allowed(allow)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or ssl.create_default_context(),
            max_connections=20,
            max_keepalive_connections=5,
            keepalive_expiry=15.0,
            network_backend=_Guarded(self._allowed),
        )

    async def post(self, url: str, headers: dict[str, str], content: bytes) -> Answer:
        """Hand one message over. Never raises: what went wrong is an answer.

        The receiver is told the id: a repeat harms nobody who heeds it. So what may have arrived is simply sent again.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.hostname and self._plain_http(parts.hostname)):
            return Answer("refused", "not_https", "webhooks go over https only")
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_s)
        try:
            async with asyncio.timeout(self._timeout_s * 2):
                async with self._pool.stream(
                    "POST", url, headers=list(headers.items()), content=content, extensions={"timeout": timeout}
                ) as response:
                    text = await _beginning(response)
                    told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        except NotPublic as error:
            return Answer("refused", "not_public", str(error))
        except (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout) as error:
            return Answer("later", "not_reached", f"{type(error).__name__}: {error}")
        except (httpcore.TimeoutException, TimeoutError) as error:
            return Answer("unknown", "timeout", type(error).__name__)
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            return Answer("unknown", "disconnected", type(error).__name__)
        return answer_of(response.status, text, retry_after_s(told))

    def _plain_http(self, host: str) -> bool:
        network = _network(host)
        return self._allowed.host(host) or (network is not None and self._allowed.address(network.network_address))

    async def close(self) -> None:
        await self._pool.aclose()


async def _beginning(response: httpcore.Response) -> str:
    read = b""
    async for chunk in response.aiter_stream():
        read += chunk
        if len(read) >= ANSWER_MOST_BYTES:
            break
    return read[:200].decode("utf-8", "replace")


def answer_of(code: int, text: str, retry_s: float | None = None) -> Answer:
    """What a status means. Pure. 410 is the receiver's word for "never again" (Standard Webhooks)."""
    said = f"{code} {text}".strip()
    if 200 <= code < 300:
        return Answer("accepted", "accepted", f"{code}")
    if code == 410:
        return Answer("refused", "gone", said, suppress="opted_out")
    if 300 <= code < 400:
        return Answer("later", "redirects", f"{code}: no redirect is followed")
    return Answer("later", "throttled" if code == 429 else "receiver_failed", said, pause_s=retry_s)
