"""How long a start takes, with all extras installed: the aims are seconds; what else starts shows the scale."""

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from contest import Aim, Contest, Sample
from lab import CLIENTS, Lab

PYTHON: Final = sys.executable
SCALE: Final = {
    "python -c pass": [PYTHON, "-c", "pass"],
    "import aiohttp": [PYTHON, "-c", "import aiohttp"],
}
NAMES: Final = "from consignee import *; from consignee.web import create_app, setup"
EVERYTHING: Final = "every name of `consignee` and `consignee.web` imported"


def contests(lab: Lab) -> Iterator[Contest]:
    """Yield the contests: the command alone, the import, all names, and the service until it answers."""
    end = partial(_turns, lab, lab.pick(10, 3), "end")
    yield Contest(
        "start: `consignee --version`",
        "start",
        end({"consignee": [_installed("consignee"), "--version"], **SCALE, "rclone version": ["rclone", "version"]}),
        [Aim("seconds", most=0.15), Aim("cpu", most=0.5, beside=("import aiohttp",))],
    )
    yield Contest(
        "start: `import consignee`",
        "start",
        end({"consignee": [PYTHON, "-c", "import consignee"], **SCALE}),
        [Aim("seconds", most=0.3), Aim("cpu", most=1.5, beside=("python -c pass",))],
    )
    yield Contest(
        f"start: {EVERYTHING}",
        "start",
        end({"consignee": [PYTHON, "-c", NAMES], **SCALE, "import fastapi": [PYTHON, "-c", "import fastapi"]}),
        note="Names are imported when they are first used, so that `import consignee` alone says little.",
    )
    yield Contest(
        "start: `consignee serve` until it answers",
        "start",
        _turns(lab, lab.pick(5, 2), "ready", _services(lab)),
        [Aim("seconds", most=1.0), Aim("cpu", most=1.5, beside=("fastapi on uvicorn, hello",))],
        note="The hello of aiohttp, and that of FastAPI, serve one route and keep nothing.",
    )


def _turns(lab: Lab, count: int, mode: str, commands: dict[str, Sequence[str]]) -> dict[str, Callable[[], Sample]]:
    return {name: partial(lab.turn, "start_command", count, mode, *command) for name, command in commands.items()}


def _services(lab: Lab) -> dict[str, Sequence[str]]:
    return {
        "consignee": [_installed("consignee"), "serve", "--config", str(_configuration(lab.memory / "started"))],
        "aiohttp, hello": [PYTHON, str(CLIENTS / "start_hello_aiohttp.py")],
        "fastapi on uvicorn, hello": [PYTHON, str(CLIENTS / "start_hello_fastapi.py")],
    }


def _configuration(home: Path) -> Path:
    home.mkdir(mode=0o700)
    path = home / "consignee.toml"
    path.write_text(
        f'[server]\nport = 0\n[store]\npath = "{home}/store"\n[secrets]\nkey_file = "{home}/secret.key"\n'
        '[[accounts.fixed]]\nname = "ann"\napi_key = "bench"\n'
    )
    return path


def _installed(command: str) -> str:
    return str(Path(PYTHON).parent / command)
