"""What operators are given to watch the service names only what there is: the table, the dashboard, the alerts."""

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry, ProcessCollector

from consignee.metrics import Metrics
from consignee.metrics.tally import Spread
from pages import ROOT, blocks, rows

MONITORING = ROOT / "docs" / "monitoring"
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
ALERTS = yaml.safe_load((MONITORING / "alerts.yml").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]] + [rule["expr"] for rule in RULES]
VARIABLES = [one["query"]["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
ADDED = {"job", "instance", "le"}
"""Labels that Prometheus adds, and that of the bounds."""
_WORDS = {"and", "or", "unless"}
_GROUPING = re.compile(r"\b(?:by|without|ignoring|on|group_left)\b\s*(?:\(([^()]*)\))?")


def ours() -> dict[str, tuple[str, set[str]]]:
    """Return the type and the labels of each metric of ours, by the name that Prometheus knows it by."""
    suffixes = {"counter": "_total"}
    made = {f"{one.name}{suffixes.get(one.kind, '')}": (one.kind, {*one.labels}) for one in Metrics().tallies()}
    assert len(made) > 25
    return made


def series() -> dict[str, set[str]]:
    """Return the labels of each series that there may be, by its name, and of those of the process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    found: dict[str, set[str]] = {one.name: set() for family in registry.collect() for one in family.samples}
    for name, (kind, labels) in ours().items():
        parts = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        found |= {f"{name}{part}": labels for part in parts}
    return {**found, "up": set()}


def names(expression: str) -> set[str]:
    """Return the metrics that an expression is about."""
    bare = re.sub(r'"[^"]*"', "", expression)
    for what in (r"\{[^{}]*\}", r"\[[^]]*\]", _GROUPING):
        bare = re.sub(what, " ", bare)
    return set(re.findall(r"\b[a-z_]+\b(?!\s*\()", bare)) - _WORDS


def test_every_metric_is_documented_with_its_type_and_its_labels() -> None:
    table = {
        row[0]: (row[1], set(re.findall(r"\w+", row[2])) - {"account"}) for row in rows("docs/monitoring.md", "Metrics")
    }
    assert table == ours()


def test_what_is_by_account_is_documented_so() -> None:
    by_account = {f"{one.name}_total" for one in Metrics(by_account=True).tallies() if "account" in one.labels}
    documented = {row[0] for row in rows("docs/monitoring.md", "Metrics") if "{account}" in row[2]}
    assert by_account == documented


def test_metrics_are_named_as_prometheus_wishes() -> None:
    """https://prometheus.io/docs/practices/naming/"""
    for name, (kind, _) in ours().items():
        assert re.fullmatch(r"consignee(_[a-z]+)+", name)
        assert kind != "histogram" or name.endswith("_duration_seconds")
        assert (kind == "counter") == name.endswith("_total")


@pytest.mark.parametrize("expression", EXPRESSIONS + VARIABLES)
def test_every_expression_names_only_what_there_is(expression: str) -> None:
    known, told = series(), names(expression) - ({"job", "instance"} if "label_values" in expression else set())
    assert told
    assert not told - known.keys()
    for name, matchers in re.findall(r"(\w+)\{([^{}]*)\}", expression):
        assert not set(re.findall(r"(\w+)\s*[=!]", re.sub(r'"[^"]*"', '""', matchers))) - known[name] - ADDED, name
    grouped = {label for found in _GROUPING.findall(expression) for label in re.findall(r"\w+", found)}
    assert not grouped - ADDED - set().union(*(known[name] for name in told))


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    """What a dashboard of version 10 consists of: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/"""
    assert DASHBOARD["schemaVersion"] >= 38
    assert (DASHBOARD["id"], DASHBOARD["uid"], DASHBOARD["title"]) == (None, "consignee", "consignee")
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    defined = {one["name"] for one in DASHBOARD["templating"]["list"]}
    assert defined == {"datasource", "job", "instance"}
    for panel in PANELS:
        assert panel["type"] in ("stat", "timeseries")
        assert panel["title"] and panel["fieldConfig"]["defaults"]["unit"]
        for target in panel["targets"]:
            assert panel["datasource"] == target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert 'job=~"$job", instance=~"$instance"' in target["expr"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_no_panel_lies_upon_another() -> None:
    assert len(PANELS) > 20
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] >= 0 and place["x"] + place["w"] <= 24
    for one, other in combinations((panel["gridPos"] for panel in DASHBOARD["panels"]), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


def test_every_alert_is_documented_and_says_what_and_how_bad() -> None:
    alerts = [rule["alert"] for rule in RULES]
    assert alerts == [row[0] for row in rows("docs/monitoring.md", "Alerts")]
    for rule in RULES:
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"].keys() == {"summary", "description"}
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"[1-9][0-9]*[mhd]", rule.get("for", "1m"))


@pytest.fixture
def promtool() -> str:
    """Prometheus' own tool."""
    if (found := shutil.which("promtool")) is None:
        pytest.skip("promtool is not installed: it is in Debian's package prometheus")
    return found


def test_prometheus_is_told_to_read_what_the_alerts_are_about(promtool: str, tmp_path: Path) -> None:
    """The page's configuration is one that it takes, under the name of the job that the alerts know, with a token."""
    ((_, code),) = [(page, code) for page, code in blocks("yaml") if page == "docs/monitoring.md"]
    ((job),) = yaml.safe_load(code)["scrape_configs"]
    assert f'up{{job="{job["job_name"]}"}}' in RULES[0]["expr"]
    assert job["authorization"].keys() == {"credentials_file"}
    (tmp_path / "prometheus.yml").write_text(f"rule_files:\n  - {MONITORING / 'alerts.yml'}\n{code}")
    command = [promtool, "check", "config", "--syntax-only", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_itself_finds_nothing_wrong_with_the_alerts(promtool: str) -> None:
    done = subprocess.run(
        [promtool, "check", "rules", "alerts.yml"], cwd=MONITORING, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"{len(RULES)} rules found" in done.stdout


def test_the_alerts_fire_when_they_should_and_only_then(promtool: str) -> None:
    """As docs/monitoring/alerts_test.yml says."""
    tested = yaml.safe_load((MONITORING / "alerts_test.yml").read_text())["tests"]
    fired = {one["alertname"] for test in tested for one in test["alert_rule_test"] if one["exp_alerts"]}
    quiet = {one["alertname"] for test in tested for one in test["alert_rule_test"] if not one["exp_alerts"]}
    assert fired == quiet == {rule["alert"] for rule in RULES}
    done = subprocess.run(
        [promtool, "test", "rules", "alerts_test.yml"], cwd=MONITORING, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def test_prometheus_itself_can_read_what_is_told(promtool: str) -> None:
    """And finds nothing to complain of in our names: `promtool check metrics`."""
    metrics = Metrics()
    for one in metrics.tallies():
        if isinstance(one, Spread):
            one.note(*("x" for _ in one.labels), seconds=0.1)
        else:
            one.numbers[tuple("x" for _ in one.labels)] = 1
    text, _ = metrics.render()
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert not [line for line in (done.stdout + done.stderr).decode().splitlines() if line.startswith("consignee")]
    assert b"error while linting" not in done.stderr
