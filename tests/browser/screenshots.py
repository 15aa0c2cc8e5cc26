"""`make screenshots`: every page of the console, in both themes, as small PNGs in docs/screenshots.

Taken of the demo where one runs (`make demo`), else of a console of our own on tests/browser/world.py.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import struct
import sys
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from playwright.sync_api import Page, ViewportSize

from demo.cli import DEFAULT_STATE_DIR
from services.console.settings import ConsoleSettings
from services.console.tracking import token
from services.runtime.settings import SettingsError
from tests.browser.driving import chromium, own_console
from tests.stack import ROOT, Stack

FOLDER: Final = ROOT / "docs" / "screenshots"
MOST_BYTES: Final = 2_300_000
COLOURS: Final = 80
WIDE: Final[ViewportSize] = {"width": 1280, "height": 800}
PHONE: Final[ViewportSize] = {"width": 360, "height": 740}
PAGES: Final = {
    "today": "/",
    "delayed": "/delayed?exception=any",
    "consignments": "/consignments",
    "hospitals": "/hospitals",
    "vessels": "/vessels",
    "terminals": "/terminals",
    "carriers": "/carriers",
    "feeds": "/feeds",
    "unmatched": "/unmatched",
    "messages": "/messages",
    "subscriptions": "/subscriptions",
    "mailbox": "/mailbox",
    "why": "/messages/why",
    "sign-in": "/sign-in",
    "health": "/health",
}
FOUND: Final = {
    "hospital": ("/hospitals", "#hospitals tbody a"),
    "letter": ("/feeds?days=400", "#letters a[href^='/letters/']"),
}
"""Pages that another leads to: where, and by which link."""
ON_A_PHONE: Final = ("today", "delayed", "consignment", "receive", "tracking")


def main() -> None:
    """Take them all; exit code 1 with a sentence where that cannot be."""
    parser = argparse.ArgumentParser(prog="screenshots", description=__doc__)
    parser.add_argument("--address", help="of a console that runs, in demo mode")
    parser.add_argument("--out", type=Path, default=FOLDER)
    told = parser.parse_args()
    with contextlib.ExitStack() as end:
        address, secret = (told.address, b"") if told.address else _demo() or end.enter_context(_own())
        told.out.mkdir(parents=True, exist_ok=True)
        total = sum(_written(path, content) for path, content in _taken(address, secret, told.out))
    sys.stdout.write(f"screenshots: {total:,} bytes in {told.out}\n")
    if total > MOST_BYTES:
        sys.exit(f"screenshots: more than {MOST_BYTES:,} bytes together; take fewer or smaller ones")


def _demo() -> tuple[str, bytes] | None:
    """The console of `make demo`, if it answers, and what seals its links."""
    try:
        settings = ConsoleSettings.load(DEFAULT_STATE_DIR)
        with urllib.request.urlopen(f"{settings.links_url}/readyz", timeout=3):
            return settings.links_url, settings.secret_key.get_secret_value().encode()
    except (SettingsError, urllib.error.URLError, OSError):
        return None


@contextlib.contextmanager
def _own() -> Iterator[tuple[str, bytes]]:
    stack = Stack(os.environ)
    try:
        with own_console(stack.clickhouse(), stack.directory(), hostile=False) as console:
            yield console.address, console.settings.secret_key.get_secret_value().encode()
    finally:
        stack.close()


def _taken(address: str, secret: bytes, folder: Path) -> Iterator[tuple[Path, bytes]]:
    """`secret`: seals a link for who has no account; without it none is looked at."""
    with chromium() as browser:
        themes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
        for theme in themes:
            context = browser.new_context(viewport=WIDE, color_scheme=theme, timezone_id="America/Los_Angeles")
            page = context.new_page()
            page.goto(address + PAGES["delayed"])
            first = page.locator("tr[data-consignment]").first.get_attribute("data-consignment")
            for name, path in (PAGES | _led_to(page, address, f"/consignments/{first}") | _linked(secret, first)).items():
                page.set_viewport_size(WIDE)
                answer = page.request.get(address + path)
                if not answer.ok:  # without a demo there are no alerts to ask
                    sys.stderr.write(f"screenshots: no {name}: {answer.status}\n")
                    continue
                yield folder / f"{name}.{theme}.png", _shot(page, address + path)
                if name in ON_A_PHONE and theme == "light":
                    page.set_viewport_size(PHONE)
                    yield folder / f"{name}.phone.png", _shot(page, address + path)
            yield folder / f"acting.{theme}.png", _acting(page, f"{address}/consignments/{first}")
            yield folder / f"choosing.{theme}.png", _choosing(page, address + PAGES["delayed"])
            context.close()


def _led_to(page: Page, address: str, consignment: str) -> dict[str, str]:
    """The pages that others lead to, where there is such a link."""
    found = {"consignment": consignment, "receive": f"{consignment}/receive"}
    for name, (path, link) in (FOUND | {"message": (consignment, "table.events a[href*='/events/']")}).items():
        page.goto(address + path)
        if page.locator(link).count():
            found[name] = str(page.locator(link).first.get_attribute("href"))
    return found


def _linked(secret: bytes, consignment: str | None) -> dict[str, str]:
    if not secret or not consignment:
        return {}
    return {"tracking": f"/t/{token(secret, consignment, datetime.now(UTC) + timedelta(days=1))}"}


def _acting(page: Page, address: str) -> bytes:
    """The forms of a consignment's page, open."""
    page.set_viewport_size(WIDE)
    page.goto(address, wait_until="load")
    page.evaluate("document.querySelectorAll('.doing details').forEach((one) => { one.open = true })")
    page.locator("#work").evaluate("(one) => one.scrollIntoView()")
    return small(page.screenshot(type="png", animations="disabled"))


def _choosing(page: Page, address: str) -> bytes:
    """Two lines of the work list chosen, and what can be done with them."""
    page.goto(address, wait_until="load")
    for place in (0, 1):
        page.locator("tr[data-consignment] input[type=checkbox]").nth(place).check()
    page.get_by_text("With the chosen lines").click()
    return small(page.screenshot(type="png", animations="disabled"))


def _shot(page: Page, address: str) -> bytes:
    page.goto(address, wait_until="load")
    page.locator("h1").wait_for()
    return small(page.screenshot(type="png", animations="disabled"))


def _written(path: Path, content: bytes) -> int:
    path.write_bytes(content)
    return len(content)


# --- a smaller PNG: at most COLOURS of them, one byte a point; a page has few, and its letters' edges are near to some


def small(png: bytes) -> bytes:
    """The same picture in its commonest colours, packed as hard as zlib can."""
    pixels = _pixels(png)
    height, width, _ = pixels.shape
    packed = (pixels[..., 0].astype(np.uint32) << 16) | (pixels[..., 1].astype(np.uint32) << 8) | pixels[..., 2]
    colours, of_pixel, counts = np.unique(packed, return_inverse=True, return_counts=True)
    order = np.argsort(-counts)  # the commonest of each neighbourhood, so that a small mark keeps its own colour
    _, firsts = np.unique(colours[order] & 0xE0E0E0, return_index=True)
    kept = np.unique(np.concatenate([order[np.sort(firsts)], order]), return_index=True)[1]
    kept = np.concatenate([order[np.sort(firsts)], order])[np.sort(kept)][:COLOURS]
    split = np.stack([(colours >> shift) & 255 for shift in (16, 8, 0)], axis=1).astype(np.int32)
    palette = split[kept]
    distance = ((split[:, None, :] - palette[None, :, :]) ** 2).sum(axis=2)
    nearest = distance.argmin(axis=1).astype(np.uint8)[of_pixel].reshape(height, width)
    lines = np.concatenate([np.zeros((height, 1), np.uint8), nearest], axis=1)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", palette.astype(np.uint8).tobytes()),
            _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _pixels(png: bytes) -> npt.NDArray[np.uint8]:
    """The points of a PNG of 8 bits a channel, without interlace, as Chromium writes it. PNG (3rd edition), 9 "Filtering"."""
    at, packed, head = 8, b"", b""
    while at < len(png):
        (size,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        body = png[at + 8 : at + 8 + size]
        head, packed = (body, packed) if kind == b"IHDR" else (head, packed + body if kind == b"IDAT" else packed)
        at += size + 12
    width, height, depth, colour, *_ = struct.unpack(">IIBBBBB", head)
    channels = {2: 3, 6: 4}[colour]
    assert depth == 8, "Chromium writes 8 bits a channel"
    raw = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + width * channels)
    shown = np.zeros((height, width, channels), np.uint8)
    above: Any = np.zeros((width, channels), np.int32)
    for line in range(height):
        shown[line] = _unfiltered(int(raw[line, 0]), raw[line, 1:].reshape(width, channels).astype(np.int32), above)
        above = shown[line].astype(np.int32)
    return shown[..., :3]


def _unfiltered(kind: int, told: npt.NDArray[np.int32], above: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
    if kind == 0:
        return told.astype(np.uint8)
    if kind == 1:
        return (told.cumsum(axis=0) & 255).astype(np.uint8)
    if kind == 2:
        return ((told + above) & 255).astype(np.uint8)
    out, left, corner = [], [0] * told.shape[1], [0] * told.shape[1]
    for values, up in zip(told.tolist(), above.tolist(), strict=True):
        if kind == 3:
            here = [(v + (a + b) // 2) & 255 for v, a, b in zip(values, left, up, strict=True)]
        else:
            here = [(v + _paeth(a, b, c)) & 255 for v, a, b, c in zip(values, left, up, corner, strict=True)]
        out.append(here)
        left, corner = here, up
    return np.array(out, np.uint8)


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    by_left, by_up, by_corner = abs(guess - left), abs(guess - up), abs(guess - corner)
    return left if by_left <= by_up and by_left <= by_corner else up if by_up <= by_corner else corner


if __name__ == "__main__":
    main()
