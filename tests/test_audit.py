"""`make audit` says that there are no holes only if every package was looked up."""

import json
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import audit

CHECKED = {"name": "a", "version": "1.0", "vulns": []}
SKIPPED = {"name": "b", "skip_reason": "Dependency not found on PyPI and could not be audited: b (2.0)"}
HOLED = {"name": "c", "version": "3.0", "vulns": [{"id": "CVE-1", "fix_versions": ["3.1"]}, {"id": "CVE-2"}]}
HOLES = ["c 3.0: CVE-1, mended in 3.1", "c 3.0: CVE-2, mended in none"]


def auditor(directory: Path, said: str) -> list[str]:
    """Make a program that says this in place of pip-audit, whose own status is good even where it checked nothing."""
    program = directory / "auditor"
    program.write_text(f"#!{sys.executable}\nimport sys\nassert '--requirement' in sys.argv\nprint({said!r})\n")
    program.chmod(stat.S_IRWXU)
    return [str(program)]


@pytest.mark.parametrize(
    ("packages", "expected", "status", "lines"),
    [
        ([CHECKED], 1, audit.CLEAN, ["1 packages checked, none has a known hole"]),
        ([CHECKED, HOLED], 2, audit.HOLES, HOLES),
        ([CHECKED, SKIPPED], 2, audit.UNCHECKED, ["could not be checked: 1 of 2 packages"]),
        ([HOLED, SKIPPED], 2, audit.UNCHECKED, [*HOLES, "could not be checked: 1 of 2 packages"]),
        ([CHECKED], 2, audit.UNCHECKED, ["could not be checked: 1 of 2 packages"]),
        ([], 0, audit.UNCHECKED, ["could not be checked: 0 of 0 packages"]),
    ],
    ids=["clean", "holes", "one skipped", "holes, and one skipped", "one left out", "nothing at all"],
)
def test_only_what_was_looked_up_counts(
    packages: Sequence[Mapping[str, Any]], expected: int, status: int, lines: list[str]
) -> None:
    found, said = audit.judge(json.dumps({"dependencies": packages}), "", expected=expected)
    assert (found, said[: len(lines)]) == (status, lines)
    assert all(SKIPPED["skip_reason"] in line for line in said[len(lines) :])


@pytest.mark.parametrize("said", ["", "not JSON", "[]", "{}", '{"dependencies": null}', '{"dependencies": 1}'])
def test_no_answer_is_no_good_answer(said: str) -> None:
    status, lines = audit.judge(said, "Traceback\nno such host", expected=1)
    assert (status, lines[-1]) == (audit.UNCHECKED, "no such host")
    assert "could not be checked" in lines[0]


def test_it_asks_about_all_that_is_installed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And about nothing else: this package itself is on no index yet."""
    requirements = audit.installed().splitlines()
    names = [line.partition("==")[0].lower() for line in requirements]
    assert {"aiohttp", "cryptography", "marshmallow"} <= set(names)
    assert not any("consignee" in name for name in names)
    packages = [{"name": name, "version": "1", "vulns": []} for name in names]
    assert audit.main(auditor(tmp_path, json.dumps({"dependencies": packages}))) == audit.CLEAN
    assert audit.main(auditor(tmp_path, json.dumps({"dependencies": packages[1:]}))) == audit.UNCHECKED
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"{len(names)} packages checked, none has a known hole"
    assert printed[1] == f"could not be checked: 1 of {len(names)} packages"


def test_without_pip_audit_nothing_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(["/no/such/pip-audit"]) == audit.UNCHECKED
    assert "could not be checked" in capsys.readouterr().out
