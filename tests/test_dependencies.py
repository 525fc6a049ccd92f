"""Nothing older is allowed to be installed than the first version without known holes. `make audit` asks for newer ones."""

import configparser
import importlib.metadata
import re
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement

SETUP: Final = Path(__file__).parent.parent / "setup.cfg"
FLOORS: Final = {
    "aiohttp": ("3.14.3", "CVE-2026-69243 request smuggling, CVE-2026-69244 a storage's answer reads out of bounds"),
    "marshmallow": ("3.26.2", "CVE-2025-68480 a small request that takes much time; in 4.x mended in 4.1.2"),
    "cryptography": ("50", "CVE-2026-69247, and the OpenSSL in the wheels before 48.0.1"),
    "idna": ("3.15", "CVE-2026-45409 a host that takes much time; customers name hosts"),
    "azure-core": ("1.38", "CVE-2026-21226 an answer that runs code"),
    "orjson": ("3.11.6", "CVE-2025-67221 a deeply nested document overruns the stack"),
}
"""The version that mends what is known by November 2026, and what that is."""


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, to be compared."""
    return tuple(map(int, re.findall(r"\d+", version.partition("+")[0])))


def bounds() -> dict[str, str]:
    """Return the lower bound of each requirement; it is an error that one has none, or is named twice with two."""
    options = configparser.ConfigParser(interpolation=None)
    options.read(SETUP)
    extras = options["options.extras_require"]
    lines = [
        options["options"]["install_requires"],
        *(extras[name] for name in ("s3", "gcs", "azure", "oss", "metrics", "speed")),
    ]
    found: dict[str, str] = {}
    for line in filter(None, "\n".join(lines).splitlines()):
        name, bound = re.fullmatch(r"([a-z0-9-]+)(?:\[\w+\])? >= ([\d.]+)(?:, != [\d.*]+)*", line).groups()  # type: ignore[union-attr]
        assert found.setdefault(name, bound) == bound
    return found


@pytest.mark.parametrize("name", FLOORS)
def test_no_version_with_a_known_hole_can_be_installed(name: str) -> None:
    floor, _ = FLOORS[name]
    assert numbers(bounds()[name]) >= numbers(floor)
    assert numbers(importlib.metadata.version(name)) >= numbers(floor)


def test_everything_that_is_required_has_a_lower_bound_and_is_tested_above_it() -> None:
    for name, bound in bounds().items():
        assert numbers(importlib.metadata.version(name)) >= numbers(bound), name


@pytest.mark.parametrize("version", ["3.26.1", "4.0.0", "4.0.1", "4.1.0", "4.1.1"])
def test_marshmallow_with_its_hole_is_refused_in_both_of_its_lines(version: str) -> None:
    """Hosts that embed this may still need 3.26."""
    options = configparser.ConfigParser(interpolation=None)
    options.read(SETUP)
    (line,) = [each for each in options["options"]["install_requires"].splitlines() if "marshmallow" in each]
    wanted = Requirement(line).specifier
    assert version not in wanted
    assert all(mended in wanted for mended in ("3.26.2", "4.1.2", "4.4.0"))


def test_a_lower_version_would_be_noticed() -> None:
    """As numbers, not as texts: 3.9 is older than 3.14."""
    assert numbers("3.9.5") < numbers("3.14.3") < numbers("3.14.10") < numbers("50")
