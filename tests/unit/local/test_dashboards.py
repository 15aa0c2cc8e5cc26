"""Grafana's dashboards ask for series that there are, by labels that those have; and no metric is left out."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from services.runtime.metrics import CATALOGUE
from tests.stack import ROOT
from tests.unit.local.test_alert_rules import aggregations, labels_of, selectors

FOLDER = ROOT / "deploy" / "grafana"
BOARDS: dict[str, Any] = {path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").glob("*.json"))}
PANELS = [(name, panel) for name, board in BOARDS.items() for panel in board["panels"] if panel["type"] != "row"]
OF_NO_USE = {"lovla_register_records", "lovla_register_position", "lovla_lease_shard", "lovla_alerts_known"}
"""Metrics for whoever looks for a fault, on no dashboard."""


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=lambda one: one if isinstance(one, str) else one["title"])
def test_a_panel_asks_for_series_that_there_are(board: str, panel: dict[str, Any]) -> None:
    assert panel["targets"]
    for target in panel["targets"]:
        asked = selectors(target["expr"])
        assert asked
        for selector in asked:
            assert selector.name is not None
            known = labels_of(selector.name)
            assert {matcher.name for matcher in selector.matchers.matchers} <= known, target["expr"]
        for labels, inside in aggregations(target["expr"]):
            for selector in inside:
                assert selector.name is not None and set(labels) <= labels_of(selector.name), target["expr"]
        left = {label for labels, _ in aggregations(target["expr"]) for label in labels} or labels_of(str(asked[0].name))
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= left, target["legendFormat"]


def test_every_metric_that_operators_watch_is_on_a_dashboard() -> None:
    shown = {
        re.sub("_(bucket|sum|count)$", "", str(selector.name))
        for _, panel in PANELS
        for target in panel["targets"]
        for selector in selectors(target["expr"])
    }
    assert {name for name in CATALOGUE if name not in shown} == OF_NO_USE


def test_the_provisioning_names_the_data_source_that_panels_ask() -> None:
    (source,) = yaml.safe_load((FOLDER / "provisioning" / "datasources" / "lovla.yml").read_text())["datasources"]
    asked = {target["datasource"]["uid"] for _, panel in PANELS for target in panel["targets"]}
    assert asked == {source["uid"]}
    (provider,) = yaml.safe_load((FOLDER / "provisioning" / "dashboards" / "lovla.yml").read_text())["providers"]
    assert provider["options"]["path"] == "${LOVLA_DASHBOARDS}"
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS)
    for board in BOARDS.values():
        ids = [panel["id"] for panel in board["panels"]]
        assert len(ids) == len(set(ids))
