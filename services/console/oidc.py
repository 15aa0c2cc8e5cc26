"""Sign-in by an OpenID Connect provider: authorization code with PKCE, by Authlib and joserfc (docs/decisions/0048).

*Guarantees*: who comes back is who went (a sealed cookie holds state, nonce and the PKCE verifier, for ten minutes); the ID
token is signed by one of the provider's own keys, for us, from the issuer that the settings name, with our nonce. What the
provider says of itself and its keys is asked anew at each sign-in. No token is kept: a session of ours begins, as for local
accounts.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import httpx
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from cryptography.fernet import Fernet, InvalidToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from services.console.frame import ROLES, Role
from services.console.people import NAME
from services.console.settings import ConsoleSettings, is_loopback

TIMEOUT_S: Final = 5.0
LASTS_S: Final = 600
"""How long somebody may take at the provider."""
LEEWAY_S: Final = 60
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""Signatures by the provider's own key: never one that our secret could make, never none."""
CALLBACK: Final = "/sign-in/oidc/back"


class NotSignedIn(Exception):
    """Why nobody was signed in, as a sentence for whoever tried; `inside`: what the log says more. `outcast`: the identity of
    who is known, and may use nothing here any more."""

    def __init__(self, text: str, inside: str = "") -> None:
        super().__init__(text)
        self.inside = inside
        self.outcast: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """Who the provider says it is. `identity`: what stays the same whatever they are called."""

    name: str
    role: Role
    identity: str
    going_on: str


class Provider:
    """The provider of the settings. Each call asks it, and waits: never in the event loop."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._settings = settings
        self._issuer = (settings.oidc_issuer or "").rstrip("/")
        key = hashlib.sha256(b"console oidc " + settings.secret_key.get_secret_value().encode()).digest()
        self._seal = Fernet(base64.urlsafe_b64encode(key))

    @property
    def _back(self) -> str:
        return self._settings.links_url + CALLBACK

    def begin(self, going_on: str, now: datetime) -> tuple[str, str]:
        """Where to send the browser, and what its cookie holds meanwhile. Raises NotSignedIn."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        asked = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": self._back,
            "scope": self._settings.oidc_scope,
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        address = self._endpoint(self._metadata(), "authorization_endpoint")
        kept = json.dumps({"state": state, "nonce": nonce, "verifier": verifier, "next": going_on}).encode()
        return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}", self._seal.encrypt_at_time(
            kept, int(now.timestamp())
        ).decode()

    def finish(self, given: Mapping[str, str], cookie: str, now: datetime) -> Known:
        """Who came back. `given`: the address's parameters. Raises NotSignedIn."""
        try:
            kept = json.loads(self._seal.decrypt_at_time(cookie.encode(), LASTS_S, int(now.timestamp())))
        except (InvalidToken, ValueError) as error:
            raise NotSignedIn("This sign-in took too long, or began in another browser: begin anew.") from error
        if not secrets.compare_digest(str(kept["state"]).encode(), given.get("state", "").encode()):
            raise NotSignedIn("This answer belongs to another sign-in: begin anew.", "state")
        if given.get("iss", self._issuer).rstrip("/") != self._issuer:
            raise NotSignedIn("This answer is of another provider: begin anew.", "iss")
        if given.get("error") or not given.get("code"):
            raise NotSignedIn("Your organisation's sign-in was not completed.", given.get("error", "no code")[:100])
        claims = self._claims(given["code"], kept, now)
        identity = f"oidc {self._issuer} {claims['sub']}"
        try:
            role = role_in(claims, self._settings)
        except NotSignedIn as error:
            error.outcast = identity
            raise
        return Known(name_in(claims, self._settings), role, identity, str(kept["next"]))

    def _claims(self, code: str, kept: Mapping[str, str], now: datetime) -> Mapping[str, Any]:
        metadata = self._metadata()
        secret = self._settings.oidc_client_secret
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._back, "code_verifier": kept["verifier"]}
        client_id = self._settings.oidc_client_id or ""
        basic = httpx.BasicAuth(client_id, secret.get_secret_value()) if secret else None
        token = self._json(
            "POST", self._endpoint(metadata, "token_endpoint"), form if secret else form | {"client_id": client_id}, basic
        )
        keys = self._json("GET", self._endpoint(metadata, "jwks_uri"))
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        try:
            algorithms = [one for one in ALGORITHMS if one in offered]
            if not algorithms:  # the library would take its own choice for none
                raise ValueError(f"it signs by {offered} alone")
            registry = JWSRegistry(algorithms=algorithms, strict_check_header=False)
            read = jwt.decode(str(token.get("id_token", "")), KeySet.import_key_set(keys), registry=registry)  # type: ignore[arg-type]  # what came as JSON
            wanted = {"iss": {"essential": True, "value": metadata["issuer"]}, "aud": {"essential": True, "value": client_id}}
            told = {"nonce": kept["nonce"], "client_id": client_id, "access_token": token.get("access_token")}
            claims = CodeIDToken(read.claims, read.header, wanted, told)
            claims.validate(now=int(now.timestamp()), leeway=LEEWAY_S)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise NotSignedIn(
                "What your organisation's sign-in said cannot be trusted.", f"{type(error).__name__}: {error}"
            ) from error
        return dict(claims)

    def _metadata(self) -> Mapping[str, Any]:
        told = self._json("GET", f"{self._issuer}/.well-known/openid-configuration")
        if str(told.get("issuer", "")).rstrip("/") != self._issuer:
            raise NotSignedIn(_AWAY, f"it says that it is {str(told.get('issuer'))[:200]}")
        return told

    def _endpoint(self, metadata: Mapping[str, Any], name: str) -> str:
        address = str(metadata.get(name, ""))
        parts = urlsplit(address)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
            raise NotSignedIn(_AWAY, f"its {name} is no https address")
        return address

    def _json(
        self, method: str, address: str, form: Mapping[str, str] | None = None, auth: httpx.BasicAuth | None = None
    ) -> Mapping[str, Any]:
        try:
            answer = httpx.request(
                method, address, data=form, auth=auth, timeout=TIMEOUT_S, headers={"Accept": "application/json"}
            )
            answer.raise_for_status()
            told = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise NotSignedIn(_AWAY, f"{method} {address}: {type(error).__name__}: {error}"[:300]) from error
        if not isinstance(told, dict):
            raise NotSignedIn(_AWAY, f"{method} {address}: no JSON object")
        return told


_AWAY: Final = "Your organisation's sign-in cannot be reached, or refuses us: try again, or use a local account."


def name_in(claims: Mapping[str, Any], settings: ConsoleSettings) -> str:
    """What somebody is called here. Raises NotSignedIn."""
    name = str(claims.get(settings.oidc_name_claim, "")).strip().lower()
    if not NAME.fullmatch(name):
        raise NotSignedIn(
            f"Your organisation's sign-in says no usable name for you ({settings.oidc_name_claim}): ask an admin."
        )
    return name


def role_in(claims: Mapping[str, Any], settings: ConsoleSettings) -> Role:
    """The greatest role that what the claim holds stands for. Raises NotSignedIn where it stands for none."""
    held: Any = claims
    for step in settings.oidc_role_claim.split("."):
        held = held.get(step) if isinstance(held, Mapping) else None
    values = {str(one) for one in held} if isinstance(held, (list, tuple)) else set(str(held or "").split())
    roles = settings.oidc_role_of
    found = next((role for role in reversed(ROLES) if any(roles.get(value) == role for value in values)), None)
    if found is None:
        raise NotSignedIn(
            "You are known, but none of your groups may use this console: ask an admin.", f"groups {sorted(values)}"[:300]
        )
    return found
