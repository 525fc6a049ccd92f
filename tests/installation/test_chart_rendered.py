"""What Helm makes of the chart, held to Kubernetes' own schemas and to the code."""

import json
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from consignee.settings import load_settings
from installation.files import ROOT, image_environment

CHART = ROOT / "packaging" / "helm" / "consignee"
KUBERNETES = "1.34"
OPTIONS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
    "a claim": {"persistence": {"existingClaim": "mine"}},
    "everything": {
        "image": {"repository": "registry.example.com/consignee", "tag": "1"},
        "imagePullSecrets": [{"name": "registry"}],
        "persistence": {"storageClassName": "fast", "accessModes": ["ReadWriteOncePod"]},
        "service": {"annotations": {"example.com/one": "two"}},
        "podAnnotations": {"example.com/three": "four"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "one", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
    },
}


def call(helm: Path, command: str, *arguments: str, values: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run helm on the chart with these values."""
    words = [str(helm), command, *arguments, str(CHART), "--values", "-"]
    return subprocess.run(words, input=json.dumps(values), capture_output=True, text=True, check=False, timeout=60)


def rendered(helm: Path, values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what is made, by its kind."""
    done = call(helm, "template", "--kube-version", f"{KUBERNETES}.0", "mine", values=values)
    assert done.returncode == 0, done.stderr
    return {found["kind"]: found for found in yaml.safe_load_all(done.stdout)}


@pytest.mark.parametrize("option", OPTIONS)
def test_helm_finds_nothing_wrong(helm: Path, option: str) -> None:
    done = call(helm, "lint", "--strict", values=OPTIONS[option])
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("option", OPTIONS)
def test_what_is_made_is_what_kubernetes_takes(helm: Path, option: str) -> None:
    """By its schemas, with unknown members refused; that of a ServiceMonitor is another's."""
    made = rendered(helm, OPTIONS[option])
    made.pop("ServiceMonitor", None)
    assert {"ConfigMap", "Deployment", "Service"} <= made.keys()
    for found in made.values():
        kubernetes_validate.validate(found, KUBERNETES, strict=True)


def test_a_wrong_member_would_be_noticed(helm: Path) -> None:
    deployment = rendered(helm, {})["Deployment"]
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, KUBERNETES, strict=True)


def test_a_value_that_is_misspelt_is_refused(helm: Path) -> None:
    assert "existingClam" in call(helm, "lint", values={"persistence": {"existingClam": "mine"}}).stdout


def test_the_pod_finds_its_claim_its_settings_and_its_service(helm: Path, tmp_path: Path) -> None:
    made = rendered(helm, {})
    pod = made["Deployment"]["spec"]["template"]
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == made["PersistentVolumeClaim"]["metadata"]["name"]
    assert volumes["settings"]["configMap"]["name"] == made["ConfigMap"]["metadata"]["name"]
    assert made["Service"]["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    (tmp_path / "consignee.toml").write_text(made["ConfigMap"]["data"]["consignee.toml"])
    assert load_settings(tmp_path / "consignee.toml", environ=image_environment()).log.format == "json"


def test_a_claim_of_the_operator_s_takes_the_place_of_ours(helm: Path) -> None:
    made = rendered(helm, OPTIONS["a claim"])
    assert "PersistentVolumeClaim" not in made
    assert "claimName: mine" in yaml.safe_dump(made["Deployment"])


def test_metrics_are_on_and_read_with_a_token_where_prometheus_asks(helm: Path, tmp_path: Path) -> None:
    """The token is a file that the pod gets, and the same secret that Prometheus sends."""
    made = rendered(helm, OPTIONS["metrics"])
    container = made["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    variables = {one["name"]: one["value"] for one in container["env"]}
    (tmp_path / "token").write_text("a-token-of-prometheus\n")
    variables["CONSIGNEE_METRICS__TOKEN_FILE"] = str(tmp_path / "token")
    settings = load_settings(environ={**image_environment(), **variables})
    assert settings.metrics.enabled and settings.metrics.token is not None and not settings.metrics.public
    asked = made["ServiceMonitor"]["spec"]["endpoints"][0]
    assert asked["path"] == "/metrics"
    assert asked["authorization"]["credentials"]["name"] in yaml.safe_dump(made["Deployment"])
    assert "metrics" not in yaml.safe_dump(rendered(helm, {})["Deployment"])
