"""Who is at the console's door: a person with a session, whoever comes (demo), or the holder of a key. Decides on values.

*Guarantees*: nothing is changed by GET. What changes anything must come from our own pages (Origin, Sec-Fetch-Site) and bring
the session's token back. A key sees what is its own; only an operator's sees everything.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, urlsplit

from fastapi import Request, Response

from schemas.registers_v1 import Account, Sender
from services.console import frame
from services.console.frame import Viewer
from services.console.gate import Bucket, Budget, Held, Problem, by_key
from services.console.people import People, Person
from services.console.settings import ConsoleSettings
from services.runtime.clock import Clock

BODY_BYTES, BODY_S, FIELDS_MOST = 256 * 1024, 10.0, 1_100
"""A form holds at most a page of the work list, or what undoes all that was done with one and noted of it."""
REQUESTS_S, BURST = 20.0, 80.0
"""Of one viewer or key; a page asks for itself and a stream, its assets do not count."""
TRIES_S, TRIES = 0.2, 10.0
"""Of sign-ins from one address."""
_KNOWN_MOST: Final = 10_000

Form = Mapping[str, Sequence[str]]


class SignIn(Exception):
    """Somebody must sign in first."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks, and for whom: `owner` empty sees everything, else what concerns that sender. `party`: it is no buyer, and of a
    consignment sees its own words only."""

    name: str
    owner: str = ""
    party: bool = False

    def need_everything(self) -> None:
        """Raise Problem 403 for a key that sees its own only."""
        if self.owner:
            raise Problem("no-scope", f"The key of {self.owner} sees its own consignments; this is about everybody's.")


@dataclass
class Entry:
    """What it is judged by."""

    settings: ConsoleSettings
    people: People
    clock: Clock
    accounts: Callable[[], Mapping[str, Account]] = dict
    senders: Callable[[], Mapping[str, Sender]] = dict
    budget: Budget = field(default_factory=Budget)
    _buckets: OrderedDict[tuple[str, str], Bucket] = field(default_factory=OrderedDict)

    # --- people

    @property
    def cookie(self) -> str:
        """The prefix binds it to this host, and only a secure one may have it."""
        return "__Host-lovla" if self.settings.console_secure else "lovla_session"

    def viewer(self, request: Request) -> Viewer:
        """Whoever looks. Raises SignIn, Problem 429."""
        token = request.cookies.get(self.cookie, "")
        person = self.people.of_session(token, self.clock.now()) if token else None
        if person is None and not self.settings.console_demo:
            raise SignIn
        name = person.name if person else f"demo {host_of(request)}"
        self.count("viewer", name, REQUESTS_S, BURST)
        return self._viewer(request, person, token)

    def _viewer(self, request: Request, person: Person | None, token: str) -> Viewer:
        theme = request.cookies.get("theme", "auto")
        seal = self.seal(token if person else self._demo_token(request))
        return Viewer(
            name=person.name if person else "demo",
            role=person.role if person else "planner",
            csrf=masked(seal),
            session=seal.hex(),
            demo=person is None,
            zone_name=request.cookies.get("zone", self.settings.console_zone),
            theme=next((one for one in frame.THEMES if one == theme), "auto"),
        )

    def seal(self, token: str) -> bytes:
        """What forms of this session bring back, masked; empty without one."""
        key = self.settings.secret_key.get_secret_value().encode()
        return hmac.new(b"console csrf " + key, token.encode(), hashlib.sha256).digest() if token else b""

    def greet(self, request: Request, response: Response) -> None:
        """Give a browser of the demo a token of its own, since its forms are guarded as everybody's are."""
        if self.settings.console_demo and not request.cookies.get("lovla_demo"):
            self.set_cookie(response, "lovla_demo", self._demo_token(request), None)

    @staticmethod
    def _demo_token(request: Request) -> str:
        """A first page's forms carry the token that its answer sets."""
        token = request.cookies.get("lovla_demo") or getattr(request.state, "lovla_demo", "")
        request.state.lovla_demo = token or secrets.token_urlsafe(24)
        return str(request.state.lovla_demo)

    def set_cookie(self, response: Response, name: str, value: str, lasts_s: int | None) -> None:
        """Ours alone: no script reads it, no other site sends it with a form."""
        response.set_cookie(name, value, lasts_s, path="/", secure=self.settings.console_secure, httponly=True, samesite="lax")

    async def form(self, request: Request) -> Form:
        """The fields of a form of ours. Raises Problem 403, 408, 413, 415, 422."""
        own_page(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            raise Problem("unsupported-media-type", "A form is expected.")
        with Held(self.budget, host_of(request)) as held:
            body = await held.read(request.stream(), request.headers.get("content-length"), BODY_BYTES, BODY_S)
        try:
            return parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=FIELDS_MOST)
        except ValueError as error:
            raise Problem("invalid", "The form cannot be read.") from error

    async def acting(self, request: Request, role: frame.Role) -> tuple[Viewer, Form]:
        """Who acts, and what their form says. Raises SignIn, Problem 403 and as `form`."""
        viewer, given = self.viewer(request), await self.form(request)
        if not viewer.session or not hmac.compare_digest(viewer.session, unmasked(one(given, "csrf")).hex()):
            raise Problem("no-scope", "This form is of another session: go back, load the page again, and send it anew.")
        if not viewer.may(role):
            raise Problem("no-scope", f"A {viewer.role} may look; this needs a {role}.")
        return viewer, given

    # --- keys

    def reader(self, request: Request) -> Reader:
        """Who asks the API: the holder of a key, else whoever has a session. Raises Problem 401, 429."""
        authorization = request.headers.get("authorization")
        if authorization is None:
            try:
                return Reader(self.viewer(request).name)
            except SignIn:
                raise Problem(
                    "no-credential",
                    "Send a key as `Authorization: Bearer lovla_...`, or sign in.",
                    headers={"WWW-Authenticate": 'Bearer realm="lovla"'},
                ) from None
        caller = by_key(authorization, self.accounts(), self.senders(), self.clock.now())
        self.count("key", caller.meter, REQUESTS_S, BURST)
        if caller.operator:
            return Reader(caller.sender.code)
        return Reader(caller.sender.code, caller.sender.code, caller.sender.kind != "buyer")

    # --- rates

    def count(self, what: str, name: str, rate_s: float, burst: float) -> None:
        """Raise Problem 429 past the rate."""
        now_s = self.clock.monotonic()
        bucket = self._buckets.get((what, name))
        if bucket is None:
            bucket = self._buckets[(what, name)] = Bucket(rate_s, burst, burst, now_s)
        self._buckets.move_to_end((what, name))
        while len(self._buckets) > _KNOWN_MOST:
            self._buckets.popitem(last=False)
        wait_s = bucket.take(1, now_s)
        if wait_s > 0:
            raise Problem("too-many-requests", "Too many requests; wait a moment.", retry_after_s=wait_s)


def masked(seal: bytes) -> str:
    """The seal under a pad of its own each time, so that no two pages hold the same: from the length of a packed page nothing
    of it can be guessed bit by bit (packing.py)."""
    pad = secrets.token_bytes(len(seal))
    return (pad + bytes(a ^ b for a, b in zip(pad, seal, strict=True))).hex()


def unmasked(told: str) -> bytes:
    """The seal; empty for what is none of ours."""
    try:
        raw = bytes.fromhex(told)
    except ValueError:
        return b""
    half = len(raw) // 2
    return bytes(a ^ b for a, b in zip(raw[:half], raw[half:], strict=True)) if len(raw) == 2 * half else b""


def host_of(request: Request) -> str:
    """The address that asks."""
    return request.client.host if request.client else "unknown"


def own_page(request: Request) -> None:
    """Raise Problem 403 unless what changes something comes from a page of ours: browsers say from where."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None and site not in ("same-origin", "none"):
        raise Problem("no-scope", "This was sent by a page of another site: nothing was done.")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host", ""):
        raise Problem("no-scope", "This was sent by a page of another site: nothing was done.")


def one(given: Form, name: str) -> str:
    """The field's value; empty where there is none."""
    return next(iter(given.get(name, ())), "").strip()


def back_to(path: str, else_: str = "/") -> str:
    """A path of ours, for going on after a form; never another site's."""
    good = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if good else else_
