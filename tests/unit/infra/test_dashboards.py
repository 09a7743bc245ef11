"""The dashboard and the alert rules ask for metrics that exist, by labels that they have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors import metric_names as connector_metrics
from gateway import metrics as gateway_metrics
from streams import metric_names as stream_metrics
from streams.metrics import Kind, Metric

INFRA = Path(__file__).resolve().parents[3] / "infra"
METRICS = (*stream_metrics.METRICS, *connector_metrics.METRICS, *gateway_metrics.METRICS)
SERIES = {name: metric for metric in METRICS for name in metric.series}
GIVEN_BY_PROMETHEUS = {"instance", "job", "process"}
SELECTED = re.compile(r"(wundr_\w+)(?:\{([^}]*)\})?")


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    content: dict[str, Any] = json.loads((INFRA / "grafana" / "wundr.json").read_text())
    return content


def alert_rules() -> dict[str, str]:
    """The expression of each alert."""
    text = (INFRA / "alerts.yml").read_text()
    found = re.findall(r"- alert: (\w+)\n +expr: (?:>-\n)?((?:.*\n)+?)(?= +(?:for|labels):)", text)
    return {name: " ".join(expression.split()) for name, expression in found}


def queries() -> Iterator[str]:
    """Every expression that the dashboard asks Prometheus for."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]


def faults_of(expression: str) -> list[str]:
    """What an expression asks for that nobody gives."""
    faults = []
    selected = [(name, labels) for name, labels in SELECTED.findall(expression)]
    for name, labels in selected:
        metric = SERIES.get(name)
        if metric is None:
            faults.append(f"no metric {name}")
            continue
        asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", labels))
        faults += [f"{name} has no label {label}" for label in asked - labels_of(metric)]
    known = set().union(*(labels_of(SERIES[name]) for name, _ in selected if name in SERIES))
    for grouped in re.findall(r"(?:by|on) \(([^)]*)\)", expression):
        faults += [
            f"nothing has a label {it}" for it in re.split(r",\s*", grouped) if it not in known
        ]
    return faults


def labels_of(metric: Metric) -> set[str]:
    """The labels of its series, those included that a scrape adds."""
    bounds = {"le"} if metric.kind is Kind.HISTOGRAM else set()
    return {*metric.labels, *bounds, *GIVEN_BY_PROMETHEUS}


@pytest.mark.parametrize("expression", sorted({*queries()}))
def test_a_panel_asks_for_what_is_given(expression: str) -> None:
    assert faults_of(expression) == []


@pytest.mark.parametrize(("alert", "expression"), sorted(alert_rules().items()))
def test_an_alert_watches_what_is_given(alert: str, expression: str) -> None:
    assert faults_of(expression) == []


def test_a_metric_that_nobody_gives_is_found_out() -> None:
    assert faults_of("sum by (colour) (rate(wundr_evnts_total[5m]))") == [
        "no metric wundr_evnts_total",
        "nothing has a label colour",
    ]
    assert faults_of('wundr_paused{colour="red"}') == ["wundr_paused has no label colour"]


def test_every_metric_stands_on_the_dashboard_or_says_why_not() -> None:
    shown = {name for query in queries() for name, _ in SELECTED.findall(query)}
    left_out = [metric.name for metric in METRICS if shown.isdisjoint(metric.series)]
    assert sorted(left_out) == [
        "wundr_catch_up_events_total",  # of processes that teams write
        "wundr_catch_up_live",
        "wundr_catch_up_next_offset",
        "wundr_gateway_held_broadcasts",  # bounded by settings
        "wundr_gateway_held_bytes",
        "wundr_gateway_queued_packets",
        "wundr_gateway_repeats_dropped_total",
        "wundr_gateway_unreadable_total",
        "wundr_relay_interruptions_total",  # told by readiness
        "wundr_relay_taken_over_total",
        "wundr_sink_fenced_total",
        "wundr_sink_interruptions_total",
        "wundr_sink_next_offset",  # the lag says more
        "wundr_sink_waiting",
    ]


def test_panels_stand_side_by_side_and_know_their_source() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells)
        taken |= cells
    for panel in panels:
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${source}"
            assert panel["description"]


@pytest.mark.parametrize("named", ["Lag", "Outbox", "DeadLetters", "BreakerOpen", "Stalled"])
def test_what_must_wake_somebody_has_a_rule(named: str) -> None:
    assert any(named in alert for alert in alert_rules())


def test_names_keep_the_conventions_of_prometheus() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"wundr_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER), metric.name
        assert not {"id", "event_id", "aggregate", "user", "key"} & set(metric.labels)
    assert len({metric.name for metric in METRICS}) == len(METRICS)
