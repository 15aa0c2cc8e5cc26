"""An OpenID Connect provider in a thread: Authlib's own server side (authorization code, PKCE, ID tokens) behind a real socket.

Whoever is sent here is signed in at once as `person`; `spoil` changes what an ID token says, for tests of what must be refused.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode
from joserfc.jwk import KeySet, RSAKey

CLIENT, SECRET = "lovla-console", "a secret of the console"
KID = "first"


@cache
def signing_key(number: int) -> RSAKey:
    """The same number is the same key for all tests: to make one takes long."""
    return RSAKey.generate_key(2048, {"kid": KID})


class _Request(OAuth2Request):  # type: ignore[misc]  # Authlib has no types
    def __init__(self, method: str, uri: str, form: Mapping[str, str], headers: Mapping[str, str]) -> None:
        super().__init__(method, uri, headers=headers)
        self._form = dict(form)
        self.payload = BasicOAuth2Payload(dict(parse_qsl(urlsplit(uri).query)) | self._form)

    @property
    def args(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.uri).query))

    @property
    def form(self) -> dict[str, str]:
        return self._form


@dataclass
class _Client(ClientMixin):  # type: ignore[misc]  # Authlib has no types
    redirect_uri: str
    client_id: str = CLIENT
    client_metadata: Mapping[str, str] = field(default_factory=dict)
    id_token_signed_response_alg: str = "RS256"

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == self.redirect_uri

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


@dataclass
class _Code:
    """What was agreed on when the browser was sent back."""

    code: str
    redirect_uri: str
    scope: str
    nonce: str
    code_challenge: str
    code_challenge_method: str
    auth_time: int

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str:
        return self.nonce

    def get_auth_time(self) -> int:
        return self.auth_time

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


@dataclass
class Provider:
    """`person`: the claims of whoever signs in. `asked`: paths, in order."""

    back: str
    person: dict[str, Any] = field(default_factory=dict)
    spoil: Callable[[dict[str, Any]], dict[str, Any]] = dict
    issuer: str = ""
    codes: dict[str, _Code] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    key: RSAKey = field(default_factory=lambda: signing_key(0))
    signs_with: RSAKey | None = None

    def __post_init__(self) -> None:
        provider = self

        class Grant(AuthorizationCodeGrant):  # type: ignore[misc]  # Authlib has no types
            TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic",)

            def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
                data = request.payload.data
                provider.codes[code] = _Code(
                    code,
                    data["redirect_uri"],
                    data["scope"],
                    data["nonce"],
                    data["code_challenge"],
                    data["code_challenge_method"],
                    int(time.time()),
                )

            def query_authorization_code(self, code: str, client: _Client) -> _Code | None:
                return provider.codes.get(code)

            def delete_authorization_code(self, authorization_code: _Code) -> None:
                provider.codes.pop(authorization_code.code)

            def authenticate_user(self, authorization_code: _Code) -> dict[str, Any]:
                return provider.person

        class IdToken(OpenIDCode):  # type: ignore[misc]  # Authlib has no types
            def resolve_client_private_key(self, client: _Client) -> KeySet:
                return KeySet([provider.signs_with or provider.key])

            def get_client_claims(self, client: _Client) -> dict[str, Any]:
                return {"iss": provider.issuer, "aud": [CLIENT]}

            def get_encode_header(self, client: _Client) -> dict[str, str]:
                return {"alg": "RS256", "kid": KID}

            def generate_user_info(self, user: dict[str, Any], scope: str) -> dict[str, Any]:
                return provider.spoil(user)

            def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
                return any(one.nonce == nonce for one in provider.codes.values())

        class Server(AuthorizationServer):  # type: ignore[misc]  # Authlib has no types
            def query_client(self, client_id: str) -> _Client | None:
                return _Client(provider.back) if client_id == CLIENT else None

            def save_token(self, token: Any, request: OAuth2Request) -> None:
                return None

            def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
                return None

            def create_oauth2_request(self, request: _Request) -> _Request:
                return request

            def handle_response(self, status: int, body: Any, headers: Any) -> tuple[int, bytes, dict[str, str]]:
                sent = json.dumps(body).encode() if isinstance(body, dict) else str(body or "").encode()
                return status, sent, dict(headers)

        self.server = Server(scopes_supported=["openid", "profile", "email"])
        generator = BearerTokenGenerator(lambda **_: secrets.token_urlsafe(24))
        self.server.register_token_generator("default", generator)
        self.server.register_grant(Grant, [CodeChallenge(required=True), IdToken(require_nonce=True)])

    def answer(self, request: _Request) -> tuple[int, bytes, dict[str, str]]:
        path = urlsplit(request.uri).path
        self.asked.append(path)
        if path == "/.well-known/openid-configuration":
            return _json(
                {
                    "issuer": self.issuer,
                    "authorization_endpoint": f"{self.issuer}/authorize",
                    "token_endpoint": f"{self.issuer}/token",
                    "jwks_uri": f"{self.issuer}/keys",
                    "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
                }
            )
        if path == "/keys":
            return _json({"keys": [self.key.as_dict(private=False)]})
        if path == "/authorize":
            grant = self.server.get_consent_grant(request, end_user=self.person)
            return self.server.create_authorization_response(request, grant_user=self.person, grant=grant)  # type: ignore[no-any-return]  # Authlib has no types
        if path == "/token":
            return self.server.create_token_response(request)  # type: ignore[no-any-return]  # Authlib has no types
        return 404, b"", {}


def _json(told: Mapping[str, Any]) -> tuple[int, bytes, dict[str, str]]:
    return 200, json.dumps(told).encode(), {"Content-Type": "application/json"}


@contextmanager
def running(back: str) -> Iterator[Provider]:
    """A provider that sends browsers back to `back`, until it is left."""
    provider = Provider(back)

    class Handler(BaseHTTPRequestHandler):
        def _answered(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            form = dict(parse_qsl(self.rfile.read(length).decode()))
            uri = provider.issuer.replace("http://", "https://") + self.path  # Authlib wants a proxy's TLS before it
            status, body, headers = provider.answer(_Request(self.command, uri, form, dict(self.headers)))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answered

        def log_message(self, format: str, *args: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="provider", daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
