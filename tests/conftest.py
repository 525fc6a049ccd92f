"""The servers that many tests share; each is started once, when the first test asks for it."""

import importlib.util
import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import canaries
import canary_plugin
import egress_watch
from consignee.demo.azurite import AzuriteServer, azurite_process, install
from consignee.demo.storage import StorageServer, storage_process
from consignee.errors import ConsigneeError
from fakes.certificates import Authority
from fakes.policies import PolicyServer, policy_process
from loop_plugin import Loop

pytest_plugins = ["consignee.testing"]
# The tests in a browser have an extra of their own: make test-browser.
collect_ignore = [] if importlib.util.find_spec("playwright") else ["browser"]
SWIFT_USERS = {"test:tester": canaries.COMPATIBLE_SECRET, "test:nodelete": "testing2", "other:owner": "testing3"}
GOOGLE_USERS = {**SWIFT_USERS, "test:tester": canaries.HMAC_SECRET}
AZURITE = Path(__file__).parent.parent / ".venv" / "azurite"
AZURITE_ACCOUNTS = {"demoaccount": canaries.AZURE_KEY, "otheraccount": "YW5vdGhlciBhY2NvdW50IGtleSE="}
VENDORS = ("storage.googleapis.com", "*.blob.core.windows.net", "*.oss-cn-hangzhou.aliyuncs.com", "127.0.0.1")


def pytest_configure(config: pytest.Config) -> None:
    """From now on, tests and the processes that they start connect to this machine alone."""
    # Tests that run side by side have a report each.
    if egress_watch.REPORT not in os.environ or hasattr(config, "workerinput"):
        report = tempfile.NamedTemporaryFile(prefix="connected-outside-")  # noqa: SIM115
        os.environ[egress_watch.REPORT] = report.name
        config.add_cleanup(report.close)
    paths = [str(egress_watch.SITE), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    egress_watch.install()
    # How long an example takes says how busy the machine is, not whether the code is right.
    settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("unhurried")
    config.pluginmanager.register(canary_plugin, "canaries")
    if package := os.environ.get("LOOP"):
        config.pluginmanager.register(Loop(package), "loop")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Only a test of a vendor's own service may go there."""
    egress_watch.pause(item.get_closest_marker("live") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, None, None]:
    """Fail the test during which something would have connected elsewhere, even if nobody noticed."""
    yield
    report = Path(os.environ[egress_watch.REPORT])
    if attempts := report.read_text():
        report.write_text("")
        pytest.fail(f"refused by the tests' watch:\n{attempts}", pytrace=False)


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority that only the tests trust."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def swift(ca: Authority) -> Iterator[StorageServer]:
    """An S3 server that checks everything, plain and TLS; `demo-bucket` and `dotted.bucket` are test's."""
    with storage_process(SWIFT_USERS, nodelete=["test:nodelete"], certificate=(ca.cert, ca.key)) as server:
        for bucket in ("demo-bucket", "dotted.bucket"):
            server.checked("test:tester", "PUT", f"/{bucket}")
        yield server


@pytest.fixture(scope="session")
def swift_eu() -> Iterator[StorageServer]:
    """The same in the region eu-west-1, without TLS, with a `demo-bucket`."""
    with storage_process(SWIFT_USERS, nodelete=["test:nodelete"], region="eu-west-1") as server:
        server.checked("test:tester", "PUT", "/demo-bucket")
        yield server


@pytest.fixture(scope="session")
def vendor_certificate(ca: Authority, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The certificate and the key of a server that goes by the vendors' own names."""
    directory = tmp_path_factory.mktemp("vendors")
    files = directory / "vendors.pem", directory / "vendors.key"
    ca.issue(*files, *VENDORS)
    return files


@pytest.fixture(scope="session")
def swift_auto(vendor_certificate: tuple[Path, Path]) -> Iterator[StorageServer]:
    """The same in the region auto, which is Google's; with TLS in Google's name, and a `demo-bucket`."""
    with storage_process(
        GOOGLE_USERS, nodelete=["test:nodelete"], region="auto", certificate=vendor_certificate
    ) as server:
        server.checked("test:tester", "PUT", "/demo-bucket")
        yield server


@pytest.fixture(scope="session")
def moto_iam() -> Iterator[PolicyServer]:
    """An S3 server with policies: writer may do all, nodelete all but DeleteObject, nobody nothing."""
    with policy_process() as server:
        yield server


@pytest.fixture(scope="session")
def azurite_directory() -> Path:
    """Where Azurite is installed; skips if it can't be, but fails where the variable CI is `true`."""
    try:
        install(AZURITE)
    except ConsigneeError as error:
        stop = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        stop(f"no tests against Azurite: {error}")
    return AZURITE


@pytest.fixture(scope="session")
def azurite(azurite_directory: Path) -> Iterator[AzuriteServer]:
    """Azure Blob Storage as Microsoft emulates it: two accounts, and demoaccount's `demo-container`."""
    with azurite_process(AZURITE_ACCOUNTS, directory=azurite_directory) as server:
        server.checked("demoaccount", "PUT", "/demo-container", query={"restype": "container"})
        yield server


@pytest.fixture(scope="session")
def azurite_tls(azurite_directory: Path, vendor_certificate: tuple[Path, Path]) -> Iterator[AzuriteServer]:
    """The same over TLS, in the names of Azure's accounts."""
    with azurite_process(AZURITE_ACCOUNTS, directory=azurite_directory, certificate=vendor_certificate) as server:
        server.checked("demoaccount", "PUT", "/demo-container", query={"restype": "container"})
        yield server
