"""The browser's files: installed once, checked by the lock, and a sentence where they cannot be had."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from deploy.setup import assets

NOWHERE = {"npm_config_registry": "http://127.0.0.1:1", "npm_config_fetch_retries": "0", "npm_config_offline": "false"}


def test_the_lock_pins_every_package_by_its_content_and_names_no_host() -> None:
    text = assets.LOCK.read_text(encoding="utf-8")
    packages = {name: held for name, held in json.loads(text)["packages"].items() if name}
    assert {"node_modules/htmx.org", "node_modules/uplot", "node_modules/world-atlas"} <= set(packages)
    assert all(held["integrity"].startswith("sha512-") for held in packages.values())
    assert not re.search(r"https?:|resolved", text)


def test_a_registry_that_does_not_answer_is_a_sentence(tmp_path: Path) -> None:
    environ = dict(os.environ) | NOWHERE | {"npm_config_cache": str(tmp_path / "cache")}
    with pytest.raises(assets.AssetsError, match=r"check the network, the proxy and npm's registry setting"):
        assets.ensure(tmp_path / "home", environ)
    assert not assets.installed(tmp_path / "home")


def test_what_is_installed_is_not_installed_again(tmp_path: Path) -> None:
    (tmp_path / "node_modules").mkdir()
    (tmp_path / ".installed").write_text(assets.fingerprint(), encoding="utf-8")
    assert not assets.ensure(tmp_path, dict(os.environ) | NOWHERE)
    shutil.rmtree(tmp_path / "node_modules")
    assert not assets.installed(tmp_path)
