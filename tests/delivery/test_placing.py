"""Where the files of result sets are, as the settings say."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from canaries import AZURE_KEY, COMPATIBLE_SECRET, HMAC_SECRET, OSS_SECRET, S3_SECRET
from consignee.delivery.placing import opened_files, result_files
from consignee.delivery.spool import Spool
from consignee.delivery.staging import Staging
from consignee.errors import SettingsError, StoreUnusable
from consignee.outlets import Outlets, open_outlets
from consignee.sections import DeliverySettings, Settings, StoreSettings
from consignee.settings import describe, load_settings
from consignee.store.memory import MemoryStore
from delivery.stage import read, taken_in
from fakes.google_oauth import private_key
from fakes.oss import oss_server
from fakes.oss_access import User
from sharing import opened

ACCOUNT = {
    "type": "service_account",
    "client_email": "stage@demo-project.iam.gserviceaccount.com",
    "private_key": private_key(0),
    "token_uri": "https://oauth2.googleapis.com/token",
}
BUCKETS: dict[str, dict[str, str]] = {
    "s3": {"S3_BUCKET_NAME": "stage", "S3_ACCESS_KEY_ID": "AKIASTAGE", "S3_SECRET_ACCESS_KEY": S3_SECRET},
    "s3compatible": {
        "S3_BUCKET_NAME": "stage",
        "S3_ENDPOINT": "http://minio:9000",
        "S3_REGION": "eu-west-1",
        "S3_ADDRESSING_STYLE": "path",
        "S3_ACCESS_KEY_ID": "AKIASTAGE",
        "S3_SECRET_ACCESS_KEY": COMPATIBLE_SECRET,
    },
    "gcs": {"GCS_BUCKET_NAME": "stage", "GCS_ACCESS_KEY": "GOOGSTAGE", "GCS_SECRET_KEY": HMAC_SECRET},
    "azure": {
        "AZURE_ACCOUNT_NAME": "stageaccount",
        "AZURE_CONTAINER_NAME": "stage",
        "AZURE_ACCOUNT_KEY": AZURE_KEY,
    },
    "oss": {
        "OSS_BUCKET_NAME": "stage",
        "OSS_REGION_ID": "oss-eu-central-1",
        "OSS_ACCESS_KEY": "LTAI5tStage",
        "OSS_SECRET_KEY": OSS_SECRET,
    },
}


def settings_of(type_: str, **changed: str) -> Settings:
    """Return settings with a bucket of that type, as they come by the environment."""
    given = {**BUCKETS[type_], "TYPE": type_, **changed}
    return load_settings(environ={f"CONSIGNEE_STAGING__{name}": text for name, text in given.items() if text})


@pytest.fixture
async def outlets() -> AsyncIterator[Outlets]:
    """Those of a service."""
    async with open_outlets(Settings()) as made:
        yield made


@pytest.mark.parametrize("type_", BUCKETS)
async def test_a_bucket_of_every_type_is_opened_from_its_settings(type_: str, outlets: Outlets) -> None:
    """Nothing is sent for that, and none of its secrets is shown."""
    settings = settings_of(type_)
    files = result_files(settings, store=MemoryStore(), outlets=outlets)
    assert isinstance(files, Staging)
    await files.open()
    assert (await files.claim(None)).startswith("staging-")
    await files.close()
    told = describe(settings) + repr(settings)
    assert not [value for name, value in BUCKETS[type_].items() if "KEY" in name and value in told]
    assert f'type = "{type_}"' in told


async def test_a_service_account_may_come_from_a_file_as_google_writes_it(tmp_path: Path, outlets: Outlets) -> None:
    path = tmp_path / "account.json"
    path.write_text(json.dumps(ACCOUNT, indent=2))
    own = {"TYPE": "gcs", "GCS_BUCKET_NAME": "stage", "GCS_SERVICE_ACCOUNT_JSON_FILE": str(path)}
    settings = load_settings(environ={f"CONSIGNEE_STAGING__{name}": text for name, text in own.items()})
    files = result_files(settings, store=MemoryStore(), outlets=outlets)
    await files.open()
    await files.close()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"S3_SECRET_ACCESS_KEY": ""}, "staging.s3_secret_access_key: is required"),
        ({"S3_BUCKET_NAME": "https://stage"}, "staging.s3_bucket_name: must be the name of a bucket"),
        ({"S3_ENDPOINT": ""}, "staging.s3_endpoint: is required"),
        ({"S3_ENDPOINT": "https://169.254.169.254/x"}, "staging.s3_endpoint: The endpoint must end after the host"),
        ({"S3_ENDPOINT": "http://metadata.google.internal"}, "staging.s3_endpoint: The host is a name"),
        ({"OSS_REGION_ID": "oss-eu-central-1"}, "staging.oss_region_id: is not of a bucket of type s3compatible"),
        ({"GCS_SECRET_KEY": HMAC_SECRET}, "staging.gcs_secret_key: is not of a bucket of type s3compatible"),
    ],
)
def test_what_is_wrong_with_a_bucket_is_told_by_the_name_of_its_setting(
    outlets: Outlets, changed: dict[str, str], told: str
) -> None:
    with pytest.raises(SettingsError, match=told):
        result_files(settings_of("s3compatible", **changed), store=MemoryStore(), outlets=outlets)


@pytest.mark.parametrize("name", [name for name in BUCKETS["s3"] if "KEY" in name])
def test_no_secret_of_a_bucket_belongs_into_a_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / "consignee.toml"
    path.write_text(f'[staging]\ntype = "s3"\n{name.lower()} = "x"\n')
    with pytest.raises(SettingsError, match=f"CONSIGNEE_STAGING__{name}"):
        load_settings(path, environ={})


@pytest.mark.parametrize("prefix", ["/a", "a/", "a//b", "a b", "%DATE%"])
def test_a_prefix_is_made_of_plain_folders(prefix: str) -> None:
    with pytest.raises(SettingsError, match=r"staging\.prefix"):
        load_settings(environ={"CONSIGNEE_STAGING__PREFIX": prefix})


async def test_the_same_bucket_is_the_same_place_whatever_key_opens_it(outlets: Outlets) -> None:
    """And another bucket or prefix is another place."""

    async def place(**changed: str) -> str:
        settings = settings_of("s3", **changed)
        return await result_files(settings, store=MemoryStore(), outlets=outlets).claim(None)

    assert await place() == await place(S3_ACCESS_KEY_ID="AKIAOTHER", S3_SECRET_ACCESS_KEY="other")
    assert len({await place(), await place(S3_BUCKET_NAME="other"), await place(PREFIX="other")}) == 3


async def test_without_a_bucket_the_files_are_in_a_directory(tmp_path: Path, outlets: Outlets) -> None:
    settings = Settings(store=StoreSettings(path=str(tmp_path)))
    files = result_files(settings, store=MemoryStore(), outlets=outlets)
    assert isinstance(files, Spool)
    assert (files.directory, files.listed) == (tmp_path / "spool", True)


async def test_of_a_shared_store_one_process_may_have_a_directory(tmp_path: Path, outlets: Outlets) -> None:
    """Another one would not see what is in it: it is told what to do, until the first one ends."""
    store = await opened()

    def directory(name: str, view: Any) -> Spool:
        settings = Settings(delivery=DeliverySettings(spool=str(tmp_path / name)))
        files = result_files(settings, store=view, outlets=outlets)
        assert isinstance(files, Spool)
        return files

    first, second = directory("one", store), directory("two", store.another())
    await first.open()
    with pytest.raises(StoreUnusable, match=r"only one process of a shared store .* set \[staging\]"):
        await second.open()
    await first.close()
    await second.open()
    await second.close()


async def test_files_can_be_opened_without_a_service() -> None:
    """With a token that is given, as a copy has it."""
    users = {"LTAI5tStage": User(OSS_SECRET)}
    store = MemoryStore()
    await store.open()
    async with oss_server(users, {"stage": "eu-central-1"}, region="eu-central-1", path_style=True) as server:
        settings = settings_of("oss", ENDPOINT_URL=server.url, PREFIX="a/b")
        async with opened_files(settings, store=store, random=lambda count: b"\x01" * count) as files:
            token, about = await taken_in(files, b"content")
            assert await read(files, token, about, 0) == b"content"
    assert sorted(server.objects["stage"]) == [f"a/b/{'01' * 16}/0"]
    await store.close()


async def test_a_bucket_without_its_type_is_not_passed_over(tmp_path: Path) -> None:
    """Files would be on the disk of one machine unnoticed. Keys alone are fine: they may be everywhere."""
    keys = {"CONSIGNEE_STAGING__S3_SECRET_ACCESS_KEY": S3_SECRET, "CONSIGNEE_STORE__PATH": str(tmp_path)}
    async with opened_files(load_settings(environ=keys), store=MemoryStore()) as files:
        assert isinstance(files, Spool)
    named = load_settings(environ={**keys, "CONSIGNEE_STAGING__S3_BUCKET_NAME": "stage"})
    with pytest.raises(SettingsError, match=r"staging\.s3_bucket_name names a bucket, but staging\.type is empty"):
        async with opened_files(named, store=MemoryStore()):
            pass
