"""The Helm chart, held to the code and to the image."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from consignee import __version__
from consignee.settings import load_settings
from consignee.web.routes import ROUTES
from installation.files import ROOT, image_environment, one, require_command

CHART = ROOT / "packaging" / "helm" / "consignee"
TEMPLATES = {path.name: path.read_text() for path in (CHART / "templates").iterdir()}
DEPLOYMENT = TEMPLATES["deployment.yaml"]


def values() -> Mapping[str, Any]:
    """The chart's values, as they are if nobody sets any."""
    found: Mapping[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return found


def test_the_chart_installs_this_version() -> None:
    described = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (described["appVersion"], described["version"]) == (__version__, __version__)


def test_the_settings_in_the_values_can_be_loaded(tmp_path: Path) -> None:
    """Beside those that the image and the pod set; the grace is longer than a stop takes."""
    (tmp_path / "consignee.toml").write_text(values()["config"])
    pod = dict(re.findall(r"- name: (CONSIGNEE_SECRETS__\w+)\n +value: (\S+)", DEPLOYMENT))
    settings = load_settings(tmp_path / "consignee.toml", environ={**image_environment(), **pod})
    mount = re.search(r"- name: secrets\n +mountPath: (\S+)", DEPLOYMENT)
    path = re.search(r"path: (sealing\S+)", DEPLOYMENT)
    assert mount and path
    assert settings.secrets.key_file == f"{mount[1]}/{path[1]}"
    assert settings.server.shutdown_timeout < values()["terminationGracePeriodSeconds"]


def test_the_pod_runs_a_command_that_is_there_at_its_port() -> None:
    (arguments,) = re.findall(r"args: \[(.*)\]", DEPLOYMENT)
    words = re.findall(r'"([^"]+)"', arguments)
    require_command(["consignee", *words])
    assert words[words.index("--port") + 1] == one("EXPOSE")
    assert f"containerPort: {one('EXPOSE')}" in DEPLOYMENT


def test_the_probes_ask_routes_that_need_no_key() -> None:
    """The last of the image's, and of the metrics, whose route may need an extra."""
    asked = re.findall(r"httpGet: \{path: (\S+), port: http\}", DEPLOYMENT)
    assert asked == ["/healthz", "/healthz", "/readyz"]
    assert set(asked) <= {path for method, path, _ in ROUTES if method == "GET"}


def test_one_process_owns_the_store() -> None:
    assert re.search(r"replicas: 1\n +strategy:\n +type: Recreate\n", DEPLOYMENT)
    assert not {"ReadWriteMany"} & set(values()["persistence"]["accessModes"])


def test_the_pod_is_the_image_s_user_and_can_do_little() -> None:
    user, group = one("USER").split(":")
    for line in (
        f"runAsUser: {user}",
        f"runAsGroup: {group}",
        f"fsGroup: {group}",
        "fsGroupChangePolicy: OnRootMismatch",
        "runAsNonRoot: true",
        "readOnlyRootFilesystem: true",
        "allowPrivilegeEscalation: false",
        "automountServiceAccountToken: false",
        "drop: [ALL]",
        "type: RuntimeDefault",
        "defaultMode: 0440",
        f"mountPath: {one('VOLUME')}",
    ):
        assert re.search(rf"^ +{re.escape(line)}$", DEPLOYMENT, re.MULTILINE), line


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name.endswith(".yaml")])
def test_every_value_that_a_template_takes_is_there(name: str) -> None:
    """A name that is misspelt would be empty, and nobody would be told."""
    for path in re.findall(r"\.Values\.([A-Za-z.]+)", TEMPLATES[name]):
        found: Any = values()
        for part in path.split("."):
            assert part in found, path
            found = found[part]


def test_every_value_is_taken_by_a_template() -> None:
    text = "".join(TEMPLATES.values())
    for name, value in values().items():
        paths = [f"{name}.{part}" for part in value] if isinstance(value, dict) and value else [name]
        taken = [path for path in paths if f".Values.{path}" in text]
        assert taken == paths or f".Values.{name} " in text, name
