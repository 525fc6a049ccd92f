"""What is imported when: nothing before it is needed, and no SDK by the thread of the event loop, which it would stop."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.request import Request, urlopen

import pytest

import importing
from providers.kinds import KINDS

SDKS: Final = {"botocore", "aiobotocore", "boto3", "gcloud", "azure", "oss2"}
AFTERWARDS: Final = "import sys\nprint(*{name.partition('.')[0] for name in sys.modules})"
KEY: Final = "canary-api-key"


def test_the_version_is_told_without_what_serves_it() -> None:
    program = (
        f"try:\n    from consignee.cli import main\n    main(['--version'])\nexcept SystemExit:\n    pass\n{AFTERWARDS}"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    version, imported = done.stdout.splitlines()
    assert version.startswith("consignee ")
    assert "consignee" in imported.split()
    assert not {*SDKS, "aiohttp", "marshmallow", "cryptography", "asyncio"} & set(imported.split())


def test_a_service_that_has_answered_has_imported_no_sdk(tmp_path: Path) -> None:
    """All types are known by then, with their fields."""
    config = tmp_path / "consignee.toml"
    config.write_text(
        f'[store]\npath = "{tmp_path}/var"\n[secrets]\nkey_file = "{tmp_path}/var/secret.key"\n'
        f'[[accounts.fixed]]\nname = "ann"\napi_key = "{KEY}"\n'
    )
    program = (
        f"from consignee.cli import main\nmain(['serve', '--config', {str(config)!r}, '--port', '0'])\n{AFTERWARDS}"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        asked = Request(f"{url}/destination-types", headers={"Authorization": f"Bearer {KEY}"})
        with urlopen(asked, timeout=30) as answer:
            types = {one["type"] for one in json.load(answer)["destination_types"]}
        process.terminate()
        imported = process.stdout.read().split()
    assert types == {kind.provider.type for kind in KINDS.values()}
    assert "aiohttp" in imported
    assert not SDKS & set(imported)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loops_thread_imports_no_sdk(kind: str) -> None:
    """A small file and a large one, both of them deleted again, in a process that has imported no SDK before."""
    command = [sys.executable, importing.__file__, kind]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    imported: dict[str, Iterable[str]] = json.loads(done.stdout)
    assert set(imported["loop"]) <= sys.stdlib_module_names
    assert importing.ELSEWHERE in imported["others"]


def test_what_a_command_loads_is_left_alone_by_the_collector_which_works_again() -> None:
    program = "import gc\nfrom consignee.cli import _load\n_load('config')\nprint(gc.isenabled(), gc.get_freeze_count() > 1000)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["True", "True"]
