"""The contract again, in an environment full of somebody else's credentials, endpoints and proxies: it changes nothing.

In a process of its own, which has that environment from the start: some libraries read it when they are imported.
"""

import json
import os
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import pytest

from fakes.google_oauth import TokenService

HERE: Final = Path(__file__).parent
SECONDS: Final = 600
SUITES: Final = (
    "test_azure_contract.py::TestAtAzuresOwnName",
    "test_gcs_contract.py::TestHmacAtGooglesOwnName",
    "test_gcs_contract.py::TestServiceAccountAtGooglesOwnNames",
    "test_oss_contract.py::TestAtTheVendorsOwnName",
    "test_s3_contract.py::TestS3AtTheOperatorsEndpoint",
    "test_s3_contract.py::TestCompatibleOverTls",
)
"""Each type, and gcs with both of its credentials; at the vendor's own name, where there is one to be had, for there the
environment has a say that the settings take from it where they name an endpoint."""
LEAST: Final = 20
"""Tests in each of them."""
KEY: Final = "c29tZWJvZHkgZWxzZSdzIGtleQ=="


class Trap:
    """A server that nobody may ask anything: `asked` is what it was asked all the same."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        trap = self

        class Handler(BaseHTTPRequestHandler):
            def handle(self) -> None:
                trap.asked.append("a connection")
                super().handle()

            def do_GET(self) -> None:
                trap.asked.append(f"{self.command} {self.path}")
                self.send_error(418)

            do_PUT = do_POST = do_DELETE = do_HEAD = do_CONNECT = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        self.url = f"http://{self.host}"


@pytest.fixture
def trap() -> Iterator[Trap]:
    """A trap that is open."""
    trap = Trap()
    thread = threading.Thread(target=trap.server.serve_forever)
    thread.start()
    yield trap
    trap.server.shutdown()
    trap.server.server_close()
    thread.join()


def poison(trap: Trap, directory: Path) -> dict[str, str]:
    """Return variables that any of the libraries may heed, all of which lead to somebody else or into the trap."""
    return {**_amazon(trap, directory), **_azure(trap), **_google(trap, directory), **_alibaba(trap), **_proxies(trap)}


def _amazon(trap: Trap, directory: Path) -> dict[str, str]:
    profile = directory / "aws"
    keys = "aws_access_key_id = AKIAOTHER\naws_secret_access_key = x"
    profile.write_text(f"[default]\n{keys}\nendpoint_url = {trap.url}\n")
    return {
        "AWS_ACCESS_KEY_ID": "AKIAOPERATOR",
        "AWS_SECRET_ACCESS_KEY": "the-operators-own",
        "AWS_SESSION_TOKEN": "the-operators-token",
        "AWS_REGION": "ap-south-1",
        "AWS_DEFAULT_REGION": "ap-south-1",
        "AWS_CONFIG_FILE": str(profile),
        "AWS_SHARED_CREDENTIALS_FILE": str(profile),
        "AWS_CA_BUNDLE": str(directory / "no-such-bundle.pem"),
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": trap.url,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": trap.url,
        "AWS_ENDPOINT_URL": trap.url,
        "AWS_ENDPOINT_URL_S3": trap.url,
    }


def _azure(trap: Trap) -> dict[str, str]:
    endpoint = f"DefaultEndpointsProtocol=http;AccountName=other;AccountKey={KEY};BlobEndpoint={trap.url}/other"
    return {
        "AZURE_STORAGE_CONNECTION_STRING": endpoint,
        "AZURE_STORAGE_ACCOUNT": "other",
        "AZURE_STORAGE_KEY": KEY,
        "AZURE_STORAGE_SAS_TOKEN": "sv=2021-12-02&sig=x",
        "AZURE_CLIENT_ID": "other",
        "AZURE_CLIENT_SECRET": "other",
        "AZURE_TENANT_ID": "other",
        "AZURE_AUTHORITY_HOST": trap.host,
        "AZURE_LOG_LEVEL": "debug",
    }


def _google(trap: Trap, directory: Path) -> dict[str, str]:
    other = TokenService(lambda: 0.0).service_account("other@other-project.iam.gserviceaccount.com")
    account = json.dumps(other | {"token_uri": f"{trap.url}/token"})
    for name in ("other-account.json", "application_default_credentials.json"):
        (directory / name).write_text(account)
    return {
        "GOOGLE_APPLICATION_CREDENTIALS": str(directory / "other-account.json"),
        "CLOUDSDK_CONFIG": str(directory),
        "GOOGLE_CLOUD_PROJECT": "other-project",
        "GCLOUD_PROJECT": "other-project",
        "STORAGE_EMULATOR_HOST": trap.url,
        "GCE_METADATA_HOST": trap.host,
        "GCE_METADATA_ROOT": trap.host,
    }


def _alibaba(trap: Trap) -> dict[str, str]:
    return {
        "OSS_ACCESS_KEY_ID": "LTAIOTHER",
        "OSS_ACCESS_KEY_SECRET": "other",
        "OSS_SESSION_TOKEN": "other",
        "OSS_SECURITY_TOKEN": "other",
        "OSS_ENDPOINT": trap.url,
        "OSS_REGION": "cn-beijing",
        "OSS_BUCKET": "other",
        "ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAIOTHER",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "other",
        "ALIBABA_CLOUD_SECURITY_TOKEN": "other",
        "ALIBABA_CLOUD_CREDENTIALS_URI": trap.url,
        "ALIBABA_CLOUD_REGION_ID": "cn-beijing",
    }


def _proxies(trap: Trap) -> dict[str, str]:
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY")
    proxies = {written: trap.url for name in names for written in (name, name.lower())}
    return {**proxies, "NO_PROXY": "", "no_proxy": "", "PYTHONASYNCIODEBUG": "0"}


def run(arguments: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    """Run Python with that added to the environment, and wait until it ends; what it covers is covered without it."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**own, **environment},
        cwd=HERE.parent.parent,
        capture_output=True,
        timeout=SECONDS,
    )


def outcomes(report: Path) -> Counter[str]:
    """Return how many tests passed, and how many did anything else."""
    cases = ET.parse(report).getroot().iter("testcase")
    return Counter(child.tag if (child := next(iter(case), None)) is not None else "passed" for case in cases)


def test_a_poisoned_environment_changes_nothing(trap: Trap, azurite_directory: Path, tmp_path: Path) -> None:
    """Every test passes, none is skipped, and nobody falls into the trap; it is open, as is seen at the end."""
    environment = poison(trap, tmp_path)
    suites = [str(HERE / suite) for suite in SUITES]
    report = tmp_path / "report.xml"
    options = ["-q", "-p", "no:cacheprovider", f"--junitxml={report}", f"--basetemp={tmp_path / 'temp'}"]
    ended = run(["-m", "pytest", *options, *suites], environment)
    assert ended.returncode == 0, ended.stdout.decode()[-4000:]
    assert outcomes(report).keys() == {"passed"}
    assert outcomes(report)["passed"] >= LEAST * len(SUITES)
    assert trap.asked == []
    run(["-c", "import urllib.request; urllib.request.urlopen('http://storage.example/', timeout=30)"], environment)
    assert trap.asked == ["a connection", "GET http://storage.example/"]
    print(f"\n{outcomes(report)['passed']} tests passed in a poisoned environment of {len(environment)} variables")  # noqa: T201
