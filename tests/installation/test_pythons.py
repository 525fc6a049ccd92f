"""What `make test-pythons` looks at: every Python and every extra that is promised, and it tells of those that are not there."""

import configparser
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from installation.files import ROOT

SETUP = configparser.ConfigParser(interpolation=None)
SETUP.read(ROOT / "setup.cfg")


@pytest.fixture
def pythons() -> ModuleType:
    """The program."""
    spec = importlib.util.spec_from_file_location("pythons", ROOT / "packaging" / "pythons.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pythons_that_are_promised_are_tested() -> None:
    promised = re.findall(r"Python :: (3\.\d+)", SETUP["metadata"]["classifiers"])
    (tested,) = re.findall(r"^PYTHONS \?= (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [f"python{version}" for version in promised] == tested.split()
    assert SETUP["options"]["python_requires"] == f">={promised[0]}"


def test_every_extra_for_users_is_installed_alone(pythons: ModuleType) -> None:
    extras = set(SETUP["options.extras_require"]) - {"test", "dev", "bench", "browser"}
    assert set(pythons.EXTRAS) == {"", *extras}
    assert pythons.SDKS.keys() == extras - {"all"}


def test_a_python_that_is_not_there_is_told_of(pythons: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert pythons.look_at("python3.0-of-nobody", Path("consignee-0-py3-none-any.whl"), []) == 1
    assert "python3.0-of-nobody: not there" in capsys.readouterr().out


def test_a_command_that_fails_is_a_failure(pythons: ModuleType) -> None:
    with pytest.raises(pythons.Failed, match="status 3"):
        pythons.run("python3", "-c", "raise SystemExit(3)")
