"""What is special about Azure: its fields, the signature of each request, and where an account is found."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest

from consignee.body import BytesBody
from consignee.demo.azurite import AzuriteServer
from consignee.errors import AccessDenied, BucketNotFound, CredentialsRejected, EndpointUnreachable
from consignee.providers import azure
from drafts import CATALOG, problems
from fakes import hostile
from fakes.leading import LeadingResolver
from fakes.scripted import Request
from providers.opening import COMMON, Fields, loopback, opened

BODY: Final = BytesBody(b"content")
KEY: Final = base64.b64encode(bytes(range(64))).decode()
FIELDS: Final[Mapping[str, Any]] = COMMON | {
    "type": "azure",
    "azure_account_name": "demoaccount",
    "azure_account_key": KEY,
    "azure_container_name": "demo-container",
}
CONNECTIONS: Final = (
    # The cases of the shared table whose field is connection_string, then what the portal offers to copy.
    "DefaultEndpointsProtocol=http;BlobEndpoint=http://169.254.169.254/;AccountName=a;AccountKey=Zm9v",
    "UseDevelopmentStorage=true",
    "AccountName=a;AccountKey=Zm9v;EndpointSuffix=evil.com/#",
    f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={KEY};EndpointSuffix=core.windows.net",
    f"AccountKey={KEY}",
)


def asked(request: Request) -> dict[str, str]:
    """Return the parameters of a request's signature."""
    return {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}


def wrong(**changed: str) -> list[str]:
    """Return which fields are wrong with these changed."""
    return list(problems({**FIELDS, **changed}))


@pytest.mark.parametrize("name", ["abc", "demoaccount", "0abc", "x" * 24])
def test_the_name_of_an_account(name: str) -> None:
    assert CATALOG.parse({**FIELDS, "azure_account_name": name}).settings["azure_account_name"] == name


@pytest.mark.parametrize(
    "name",
    [
        *("ab", "x" * 25, "Account", "my-account", "my_account", "konto.ö", "a b", "abc\n", "äbc", "a/b", "../x"),
        *("evil.com/#", "evil.com#", "a.evil.com", "a@evil.com", "a:80", "a?b", "a\\b", "a%2fb", "{account}", "٣٣٣"),
        *("https://demoaccount.blob.core.windows.net", "127.0.0.1", "localhost/x", *CONNECTIONS),
    ],
)
def test_what_is_no_name_of_an_account(name: str) -> None:
    """It becomes the first part of the host's name."""
    assert wrong(azure_account_name=name) == ["azure_account_name"]


@pytest.mark.parametrize(
    "key",
    [
        *("not base64", "Zm9v!", "Zm9", "=", "====", "é", "Zm9v\n", " Zm9v", "Zm 9v", "Zm9v Zm9v", "Zm9v-_8="),
        *CONNECTIONS,
        "?sv=2021-12-02&ss=b&srt=o&sp=w&se=2030-01-01&sig=Zm9v",
        "x" * 1025,
    ],
)
def test_what_is_no_key_of_an_account(key: str) -> None:
    """The SDK would fail only when it signs."""
    found = problems({**FIELDS, "azure_account_key": key})
    assert list(found) == ["azure_account_key"]
    assert key not in str(found["azure_account_key"])


def test_an_empty_key_is_missing() -> None:
    assert problems({**FIELDS, "azure_account_key": ""}) == {"azure_account_key": ["is required"]}


@pytest.mark.parametrize("name", ["abc", "demo-container", "0-1", "x" * 63, "$root"])
def test_the_name_of_a_container(name: str) -> None:
    """https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata"""
    assert CATALOG.parse({**FIELDS, "azure_container_name": name}).settings["azure_container_name"] == name


@pytest.mark.parametrize(
    "name",
    [
        *("ab", "x" * 64, "Container", "a_b", "a--b", "-ab", "ab-", "a.b", "a b", "abc\n", "äbc", "$logs/x", "$web2"),
        *("a/b", "../x", "a\\b", "a?b", "a#b", "a%2fb", "https://a.blob.core.windows.net/b", *CONNECTIONS),
    ],
)
def test_what_is_no_name_of_a_container(name: str) -> None:
    assert wrong(azure_container_name=name) == ["azure_container_name"]


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_a_connection_string_is_not_read(connection: str) -> None:
    """It carries endpoints of its own: a field of that name is as unknown as any other."""
    draft = CATALOG.parse({**FIELDS, "connection_string": connection, "azure_connection_string": connection})
    assert draft == CATALOG.parse(FIELDS)


async def test_one_put_and_one_delete_are_sent_and_nothing_else() -> None:
    """Each signed for just this blob and just this operation, and not for long."""
    before = datetime.now(UTC)
    async with (
        hostile.accepting() as server,
        opened(azure.PROVIDER, FIELDS, loopback(azure=f"{server.url}/{{account}}")) as bucket,
    ):
        await bucket.put("a folder/a+b.txt", BODY)
        await bucket.delete("a folder/a+b.txt")
    put, delete = server.requests
    path = "/demoaccount/demo-container/a%20folder/a%2Bb.txt"
    assert [(each.method, each.path.partition("?")[0]) for each in (put, delete)] == [("PUT", path), ("DELETE", path)]
    assert (put.headers["x-ms-blob-type"], put.headers["x-ms-version"]) == ("BlockBlob", azure.VERSION)
    assert put.body == b"content"
    assert [asked(each)["sp"] for each in (put, delete)] == ["w", "d"]
    assert [asked(each)["sr"] for each in (put, delete)] == ["b", "b"]
    for request in (put, delete):
        lasts = datetime.fromisoformat(asked(request)["se"]) - before
        assert timedelta(minutes=14) < lasts < timedelta(minutes=16)
        assert "authorization" not in request.headers


async def test_at_azure_only_https_is_signed_for() -> None:
    """As the vendor's own address is: the same signature would else be good over http."""
    resolver = LeadingResolver({})
    async with opened(azure.PROVIDER, FIELDS, loopback(), resolver=resolver) as bucket:
        with pytest.raises(EndpointUnreachable):
            await bucket.put("key", BODY)
        assert isinstance(bucket, azure.AzureBucket)
        url, _ = bucket._sign("PUT", "key", BODY)
    assert resolver.asked == ["demoaccount.blob.core.windows.net"]
    assert parse_qs(urlsplit(url).query)["spr"] == ["https"]
    assert urlsplit(url)[:3] == ("https", "demoaccount.blob.core.windows.net", "/demo-container/key")


async def test_an_account_that_does_not_exist_has_no_host() -> None:
    """That is all that Azure tells of it, so the hint names the account."""
    async with opened(azure.PROVIDER, FIELDS, loopback(), resolver=LeadingResolver({})) as bucket:
        for attempt in (bucket.put("key", BODY), bucket.delete("key")):
            with pytest.raises(EndpointUnreachable) as failed:
                await attempt
            assert "storage account demoaccount?" in failed.value.hint


async def test_the_refusals_of_azurite(azurite: AzuriteServer) -> None:
    """Each with the code that it gave; another account's key, an unknown account, an unknown container."""
    mine: Fields = {**FIELDS, "azure_account_key": azurite.accounts["demoaccount"]}
    other = azurite.accounts["otheraccount"]
    for changed, failure, code in (
        ({"azure_account_key": other}, CredentialsRejected, "AuthorizationFailure"),
        ({"azure_account_name": "nobody"}, BucketNotFound, "ResourceNotFound"),
        ({"azure_container_name": "none"}, BucketNotFound, "ContainerNotFound"),
    ):
        settings = loopback(azure=f"{azurite.url}/{{account}}")
        async with opened(azure.PROVIDER, {**mine, **changed}, settings) as bucket:
            with pytest.raises(failure) as refused:
                await bucket.put("key", BODY)
        assert refused.value.provider_code == code
        assert refused.value.provider_request_id
        assert not isinstance(refused.value, AccessDenied)


@pytest.mark.parametrize(
    ("endpoint_url", "base"),
    [
        ("", "https://acct.blob.core.windows.net"),
        ("http://127.0.0.1:10000", "http://127.0.0.1:10000/acct"),
        ("http://127.0.0.1:10000/", "http://127.0.0.1:10000/acct"),
        ("http://[::1]:10000", "http://[::1]:10000/acct"),
        ("http://127.0.0.1:10000/{account}", "http://127.0.0.1:10000/acct"),
        ("http://127.0.0.1:10000/fixed", "http://127.0.0.1:10000/fixed"),
        ("https://{account}.blob.example.com", "https://acct.blob.example.com"),
        ("https://blobs.example.com", "https://blobs.example.com"),
    ],
)
def test_an_account_is_in_the_host_or_the_first_folder(endpoint_url: str, base: str) -> None:
    assert azure.base_url(endpoint_url, "acct") == base
