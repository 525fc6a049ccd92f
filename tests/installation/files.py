"""Reading what the service is installed by: the Dockerfile, compose.yaml, the systemd unit."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from consignee import cli

ROOT = Path(__file__).parent.parent.parent
Instruction = tuple[str, str]


def instructions() -> list[Instruction]:
    """Return the Dockerfile's instructions, each with what is behind it in one line."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def last_stage() -> list[Instruction]:
    """Return the instructions of the image itself, after the last FROM."""
    every = instructions()
    start = max(number for number, (name, _) in enumerate(every) if name == "FROM")
    return every[start:]


def one(name: str) -> str:
    """Return what is behind the only such instruction of the image."""
    (found,) = [rest for each, rest in last_stage() if each == name]
    return found


def image_environment() -> dict[str, str]:
    """Return the variables that the image sets."""
    return dict(part.split("=", 1) for part in shlex.split(one("ENV")))


def image_command(rest: str) -> list[str]:
    """Return the words of a command in the form that starts no shell."""
    found: list[str] = json.loads(rest[rest.index("[") :])
    return found


def compose() -> Mapping[str, Any]:
    """Return compose.yaml."""
    found: Mapping[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found


def unit(name: str = "consignee.service") -> dict[str, list[str]]:
    """Return the values of each option of the systemd unit, or of a part of one, in all its sections."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "packaging" / "systemd" / name).read_text().splitlines():
        if match := re.fullmatch(r"([A-Za-z]+)=(.*)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


def require_command(words: Sequence[str]) -> None:
    """Fail unless these are words that the command takes; the first is the command itself, wherever it lies."""
    assert Path(words[0]).name == "consignee"
    cli.parser(words[1]).parse_args(list(words[1:]))
