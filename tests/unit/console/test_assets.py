"""What a browser gets beside the pages: kept for a year by its content, small, and nothing but what is meant."""

from __future__ import annotations

import gzip

import cramjam
from fastapi import FastAPI
from fastapi.testclient import TestClient

from deploy.setup import assets as npm
from services.console import assets

FIRST_VIEW_BYTES = 150_000


def browser() -> TestClient:
    app = FastAPI()
    app.add_api_route("/static/{digest}/{name}", assets.respond, response_model=None)
    return TestClient(app)


def test_an_address_holds_the_content_and_is_kept_for_a_year() -> None:
    answer = browser().get(assets.asset("console.css"))
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    again = browser().get(assets.asset("console.css"), headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_another_versions_address_gets_todays_file_not_to_be_kept() -> None:
    answer = browser().get("/static/000000000000/console.css")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")


def test_what_is_not_ours_is_not_found() -> None:
    for path in ("/static/x/settings.py", "/static/x/..%2fsettings.py", "/static/x/package.json"):
        assert browser().get(path).status_code == 404


def test_it_is_packed_as_the_browser_asks() -> None:
    packed = assets.made("a.css", b"body { color: red }\n" * 100)
    assert bytes(cramjam.brotli.decompress(packed.packed["br"])) == gzip.decompress(packed.packed["gzip"]) == packed.plain
    for coding in ("br", "gzip"):
        answer = browser().get(assets.asset("console.css"), headers={"Accept-Encoding": coding})
        assert answer.headers.get("content-encoding") == coding
        assert answer.headers["vary"] == "Accept-Encoding"
    assert "content-encoding" not in browser().get(assets.asset("console.css"), headers={"Accept-Encoding": ""}).headers


def test_all_files_of_a_first_view_are_small() -> None:
    sizes = {one.name: min([len(one.plain), *map(len, one.packed.values())]) for one in assets.catalogue().values()}
    assert sum(sizes.values()) < FIRST_VIEW_BYTES, sizes


def test_what_is_not_installed_has_no_address() -> None:
    assert assets.asset("no-such-file.js") == ""
    assert bool(assets.asset("htmx.js")) == npm.installed()
