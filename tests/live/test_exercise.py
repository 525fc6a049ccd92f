"""That the live test does what it says, shown on the servers of the tests."""

import pytest

from consignee.demo.azurite import AzuriteServer
from consignee.demo.storage import StorageServer
from consignee.errors import ProviderFailure
from consignee.providers import discover
from live.exercise import EXPECTED, exercise, fields_in, variable
from providers.opening import COMMON, S3_FIELDS, loopback


def test_variables_are_named_after_the_fields() -> None:
    assert variable("s3", "s3_bucket_name") == "CONSIGNEE_LIVE_S3_BUCKET"
    assert variable("s3compatible", "s3_endpoint") == "CONSIGNEE_LIVE_S3COMPATIBLE_ENDPOINT"
    assert variable("azure", "azure_account_name") == "CONSIGNEE_LIVE_AZURE_ACCOUNT"
    assert variable("gcs", "gcs_service_account_json") == "CONSIGNEE_LIVE_GCS_SERVICE_ACCOUNT_JSON"


def test_only_types_with_credentials_are_tried() -> None:
    environ = {"CONSIGNEE_LIVE_S3_BUCKET": "mine", "CONSIGNEE_LIVE_OSS_REGION_ID": "oss-cn-hangzhou"}
    found = {name: fields_in(environ, provider) for name, provider in discover().items()}
    assert found["s3"] == {**COMMON, "type": "s3", "s3_bucket_name": "mine"}
    assert found["oss"] == {**COMMON, "type": "oss", "oss_region_id": "oss-cn-hangzhou"}
    assert found["gcs"] is found["azure"] is found["s3compatible"] is None


def test_every_type_has_what_to_compare_with() -> None:
    assert set(EXPECTED) == set(discover())


async def test_it_passes_on_swift_and_cleans_up(swift: StorageServer) -> None:
    before = await swift.keys("test:tester", "demo-bucket")
    assert await exercise(discover()["s3"], S3_FIELDS, loopback(s3=swift.url)) == []
    assert await swift.keys("test:tester", "demo-bucket") == before
    uploads = swift.checked("test:tester", "GET", "/demo-bucket", query={"uploads": ""}).body
    assert b"<Upload>" not in uploads


async def test_it_passes_on_azurite_and_cleans_up(azurite: AzuriteServer) -> None:
    before = await azurite.blobs("demoaccount", "demo-container")
    account, key = next(iter(azurite.accounts.items()))
    fields = {**COMMON, "type": "azure", "azure_account_name": account, "azure_account_key": key}
    settings = loopback(azure=f"{azurite.url}/{{account}}")
    assert await exercise(discover()["azure"], {**fields, "azure_container_name": "demo-container"}, settings) == []
    assert await azurite.blobs("demoaccount", "demo-container") == before


async def test_a_difference_is_told_and_a_failure_raised(swift: StorageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EXPECTED, "s3", EXPECTED["azure"])
    differences = await exercise(discover()["s3"], S3_FIELDS, loopback(s3=swift.url))
    assert len(differences) == 2
    assert "NoSuchBucket" in differences[0]
    with pytest.raises(ProviderFailure):
        await exercise(discover()["s3"], {**S3_FIELDS, "s3_secret_access_key": "wrong"}, loopback(s3=swift.url))
