"""The contract over Azure Blob Storage, against Azurite: with the account's name in the path, and in the host as at Azure."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp.abc import AbstractResolver
from azure.storage.blob import generate_blob_sas

from consignee.demo.azurite import AzuriteServer
from consignee.destination import Draft
from consignee.providers import Bucket, azure
from consignee.settings import Settings
from consignee.testing.buckets import Subject
from consignee.testing.readable import ReadableContract
from consignee.transport import Transport
from fakes.certificates import Authority
from fakes.leading import LeadingResolver
from providers.opening import COMMON, loopback

ACCOUNT, CONTAINER = "demoaccount", "demo-container"


def _for_writing_alone(*args: Any, **options: Any) -> str:
    return generate_blob_sas(*args, **options | {"permission": "w"})


@asynccontextmanager
async def open_for_writing(draft: Draft, found: Mapping[str, str], transport: Transport) -> AsyncIterator[Bucket]:
    """Yield a container of which every signature allows to write and nothing else: an account's key itself allows all."""
    yield azure.AzureBucket(SimpleNamespace(generate_blob_sas=_for_writing_alone), draft, transport)


def azure_subject(server: AzuriteServer, settings: Settings, resolver: AbstractResolver | None = None) -> Subject:
    """A destination in one of Azurite's accounts."""
    return Subject(
        provider=azure.PROVIDER,
        fields=COMMON
        | {
            "type": "azure",
            "azure_account_name": ACCOUNT,
            "azure_account_key": server.accounts[ACCOUNT],
            "azure_container_name": CONTAINER,
        },
        settings=settings,
        wrong_secret={"azure_account_key": server.accounts["otheraccount"]},
        no_bucket={"azure_container_name": "no-such-container"},
        no_delete={},
        forbidding=replace(azure.PROVIDER, open=open_for_writing),
        keys=partial(server.blobs, ACCOUNT, CONTAINER),
        read=partial(server.read, ACCOUNT, CONTAINER),
        resolver=resolver,
    )


class TestAtTheOperatorsEndpoint(ReadableContract):
    @pytest.fixture
    def subject(self, azurite: AzuriteServer) -> Subject:
        """Plain http; the account is the first folder."""
        return azure_subject(azurite, loopback(azure=f"{azurite.url}/{{account}}"))


class TestAtAzuresOwnName(ReadableContract):
    @pytest.fixture
    def subject(self, azurite_tls: AzuriteServer, ca: Authority) -> Subject:
        """As in production, over TLS: only the name service leads elsewhere, and there is one more authority to trust."""
        port = urlsplit(azurite_tls.url).port or 443
        resolver = LeadingResolver({f"{ACCOUNT}.blob.core.windows.net": port})
        return azure_subject(azurite_tls, loopback(ca=ca.pem), resolver)
