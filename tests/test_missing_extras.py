"""Where an optional package is not installed, everybody is told what to install: in the log, over HTTP, by the command."""

import json
import re
import subprocess
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

import without_extras
from consignee.delivery.engine import described
from consignee.errors import MissingExtra
from consignee.providers import Provider, discover
from consignee.providers.extras import tell_missing
from providers.kinds import KINDS

EXTRAS = {name: kind.provider.extra for name, kind in KINDS.items()}
KEY = "canary-api-key"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is installed without any extra."""
    return without_extras.make(tmp_path_factory.mktemp("bare") / "packages")


@pytest.fixture(scope="module")
def url(bare: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that runs there; what it logs is in the file beside its store."""
    place = tmp_path_factory.mktemp("service")
    config = place / "consignee.toml"
    config.write_text(
        f'[store]\npath = "{place}/var"\n[secrets]\nkey_file = "{place}/var/secret.key"\n'
        f'[[accounts.fixed]]\nname = "ann"\napi_key = "{KEY}"\n'
    )
    program = without_extras.command(bare, "serve", "--config", str(config), "--port", "0")
    with (place / "log").open("w") as log, subprocess.Popen(program, stdout=subprocess.PIPE, stderr=log) as process:
        assert process.stdout is not None
        yield f"{process.stdout.readline().decode().split()[-1]}#{place}/log"
        process.terminate()
    assert process.returncode == 0


def test_nothing_that_pins_botocore_is_needed_without_an_extra() -> None:
    """So it can be installed beside any boto3 that the application around it wants."""
    assert {"aiohttp", "marshmallow", "cryptography"} < without_extras.core()
    assert not {"aiobotocore", "botocore", "boto3", "urllib3"} & without_extras.core()


def test_the_log_tells_at_the_start_what_to_install(url: str) -> None:
    log = Path(url.partition("#")[2]).read_text()
    told = re.findall(r"of type ([\w ]+): .*(pip install 'consignee\[\w+\]')", log)
    assert sorted(told) == [
        ("azure", "pip install 'consignee[azure]'"),
        ("gcs", "pip install 'consignee[gcs]'"),
        ("oss", "pip install 'consignee[oss]'"),
        ("s3 and s3compatible", "pip install 'consignee[s3]'"),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_tells_what_to_install(kind: str, url: str) -> None:
    """And so does the log, once more, with the request's id."""
    base, _, log = url.partition("#")
    fields = json.dumps(dict(KINDS[kind].fields_at("https://storage.example"))).encode()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    with pytest.raises(urllib.error.HTTPError) as refused:
        urlopen(Request(f"{base}/destinations", fields, headers), timeout=30)
    with refused.value as answer:
        info = json.load(answer)["request_info"]
    assert (answer.status, info["code"]) == (503, "unavailable")
    assert f"pip install 'consignee[{EXTRAS[kind]}]'" in info["message"]
    (line,) = [
        line for line in Path(log).read_text().splitlines() if answer.headers["X-Trace-ID"] in line and "pip" in line
    ]
    assert f"pip install 'consignee[{EXTRAS[kind]}]'" in line


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_tells_what_to_install(kind: str, bare: Path, tmp_path: Path) -> None:
    (tmp_path / "fields.json").write_text(json.dumps(dict(KINDS[kind].fields_at("https://storage.example"))))
    done = without_extras.run(bare, "check", str(tmp_path / "fields.json"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == (
        f"consignee: this destination type needs: pip install 'consignee[{EXTRAS[kind]}]'"
    )


@pytest.mark.parametrize("arguments", [("keys", "list"), ("worker",), ("migrate",)], ids=" ".join)
def test_a_store_with_a_url_tells_what_to_install(arguments: tuple[str, ...], bare: Path, tmp_path: Path) -> None:
    config = tmp_path / "consignee.toml"
    config.write_text('[store]\nurl = "postgresql://ann:canary-password@127.0.0.1:1/store"\n')
    done = without_extras.run(bare, *arguments, "--config", str(config))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].endswith("needs: pip install 'consignee[postgres]'")
    assert "canary-password" not in done.stderr


def test_a_botocore_of_somebody_elses_is_not_enough(tmp_path: Path) -> None:
    """With it requests can be signed, and the test of a destination would go well; but not a large file."""
    place = without_extras.make(tmp_path / "packages", "botocore")
    (tmp_path / "fields.json").write_text(json.dumps(dict(KINDS["s3"].fields_at("https://storage.example"))))
    done = without_extras.run(place, "check", str(tmp_path / "fields.json"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'consignee[s3]'" in done.stderr


def test_a_delivery_that_can_not_be_attempted_tells_what_to_install() -> None:
    assert described(MissingExtra("azure")) == "this destination type needs: pip install 'consignee[azure]'"


def test_the_suites_for_tests_need_pytest_when_they_are_imported_and_nothing_else_does(bare: Path) -> None:
    done = without_extras.run(bare, program="import consignee.web, consignee.opening; import consignee.testing")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'pytest'"


@pytest.mark.parametrize("name", discover())
async def test_nothing_is_told_of_what_is_installed(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    provider = discover()[name]
    assert provider.extra and provider.modules
    await tell_missing([provider])
    assert caplog.records == []


async def test_what_is_installed_in_another_way_than_most_is_found(caplog: pytest.LogCaptureFixture) -> None:
    """Such as a module that is no folder; and one that nobody has is told."""
    caplog.set_level("INFO")
    known = discover()["s3"]
    modules = {"there": ("json.tool",), "gone": ("json", "no_such_package.module")}
    types = [
        Provider(type=name, label=name, fields=known.fields, open=known.open, extra="toy", modules=needed)
        for name, needed in modules.items()
    ]
    await tell_missing(types)
    (record,) = caplog.records
    assert "of type gone: " in record.message and "there" not in record.message
