"""Prometheus' alert rules: they ask for metrics that there are, by labels that those have, and name a page that helps."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any, get_args

import promql_parser
import pytest
import yaml

from deploy.local.services import SERVICES
from services.runtime.metrics import CATALOGUE, CounterName, HistogramName
from services.runtime.runbooks import RUNBOOKS
from tests.stack import ROOT

FOLDER = ROOT / "deploy" / "prometheus"
OF_PROMETHEUS = {"up": set[str](), "process_start_time_seconds": set[str]()}
"""Metrics that Prometheus itself, or its client, makes."""
OF_SCRAPING = {"job", "instance"}
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Safe, and in C where there is one: the files are read by every process that collects."""
RULES: list[dict[str, Any]] = [
    rule for group in yaml.load((FOLDER / "lovla.rules.yml").read_text(), LOADER)["groups"] for rule in group["rules"]
]
TESTS: list[dict[str, Any]] = yaml.load((FOLDER / "lovla.rules.test.yml").read_text(), LOADER)["tests"]


def selectors(expression: str) -> list[promql_parser.VectorSelector]:
    """All that an expression asks for. Raises ValueError for what is no PromQL."""
    found: list[promql_parser.VectorSelector] = []

    def note(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        elif isinstance(node, promql_parser.MatrixSelector):
            found.append(node.vector_selector)
        return True

    promql_parser.walk(promql_parser.parse(expression), note)
    return found


def labels_of(metric: str) -> set[str]:
    """The labels that a series of this name has; KeyError for one that there is not."""
    if metric in OF_PROMETHEUS:
        return OF_SCRAPING | OF_PROMETHEUS[metric]
    for name, about in CATALOGUE.items():
        series: dict[str, set[str]] = {name: set()}
        if name in get_args(HistogramName):
            series = {f"{name}_bucket": {"le"}, f"{name}_sum": set(), f"{name}_count": set()}
        if metric in series:
            return OF_SCRAPING | set(about.labels) | series[metric]
    raise KeyError(metric)


def aggregations(expression: str) -> Iterator[tuple[list[str], list[promql_parser.VectorSelector]]]:
    """`sum by (a, b) (...)`: the labels, and what stands inside."""
    found: list[promql_parser.AggregateExpr] = []

    def note(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.AggregateExpr):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(expression), note)
    for one in found:
        yield (one.modifier.labels if one.modifier else []), selectors(one.expr.prettify())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_series_that_there_are(rule: dict[str, Any]) -> None:
    asked = selectors(rule["expr"])
    assert asked
    for selector in asked:
        assert selector.name is not None
        known = labels_of(selector.name)
        for matcher in selector.matchers.matchers:
            assert matcher.name in known, (selector.name, matcher.name)
            if matcher.name == "job":
                assert matcher.value in {one.name for one in SERVICES}
    for labels, inside in aggregations(rule["expr"]):
        for selector in inside:
            assert selector.name is not None and set(labels) <= labels_of(selector.name), (rule["expr"], labels)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_counter_is_asked_for_its_increase_and_a_gauge_for_itself(rule: dict[str, Any]) -> None:
    ranged: set[str | None] = set()

    def note(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.MatrixSelector):
            ranged.add(node.vector_selector.name)
        return True

    promql_parser.walk(promql_parser.parse(rule["expr"]), note)
    for selector in selectors(rule["expr"]):
        is_counter = selector.name in get_args(CounterName) or str(selector.name).endswith("_bucket")
        if selector.name in CATALOGUE or is_counter:
            assert (selector.name in ranged) == is_counter, selector.name


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_says_who_is_to_do_what(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["labels"]["runbook"] in RUNBOOKS
    assert set(rule["annotations"]) == {"summary"}
    by = {label for labels, _ in aggregations(rule["expr"]) for label in labels}
    plain = OF_SCRAPING if not by and "changes(" in rule["expr"] else set[str]()
    for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
        assert label in by | plain, label


def test_names_are_used_once_and_every_service_of_ours_is_watched() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))
    watched = {
        matcher.value
        for rule in RULES
        if rule["expr"].startswith("absent(up")
        for selector in selectors(rule["expr"])
        for matcher in selector.matchers.matchers
    }
    assert watched == {one.name for one in SERVICES} - {"mailbox"}  # which stands for the outside world
    targets = yaml.safe_load((FOLDER / "lovla.targets.yml").read_text())
    assert {target["labels"]["job"] for target in targets} == watched


def test_the_unit_tests_of_the_rules_speak_of_rules_and_series_that_there_are() -> None:
    by_name = {rule["alert"]: rule for rule in RULES}
    for test in TESTS:
        for series in test["input_series"]:
            (selector,) = selectors(series["series"])
            assert selector.name is not None
            assert {matcher.name for matcher in selector.matchers.matchers} <= labels_of(selector.name)
        for asked in test["alert_rule_test"]:
            rule = by_name[asked["alertname"]]
            for alert in asked["exp_alerts"]:
                assert rule["labels"].items() <= alert["exp_labels"].items()
                told = re.escape(rule["annotations"]["summary"])
                pattern = re.sub(r"\\{\\{.*?\\}\\}", ".+", told)
                assert re.fullmatch(pattern, alert["exp_annotations"]["summary"]), asked["alertname"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on this machine")
def test_promtool_agrees() -> None:
    for verb in (
        ["check", "rules", "lovla.rules.yml"],
        ["test", "rules", "lovla.rules.test.yml"],
        ["check", "config", "prometheus.yml"],
    ):
        done = subprocess.run(["promtool", *verb], cwd=FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
