"""One destination of every kind, to be put wherever a test wants it: each type, and gcs with both of its credentials."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp.abc import AbstractResolver

from canaries import AZURE_KEY, COMPATIBLE_SECRET, HMAC_SECRET, OSS_SECRET, S3_SECRET
from consignee.outlets import open_outlets
from consignee.providers import Provider, azure, gcs, oss, s3, s3compatible
from consignee.settings import Settings
from consignee.verification import Report, verify
from fakes.google import Google
from providers.opening import COMMON, Fields, draft_of, loopback
from proving import TOKEN, assert_well_formed

GOOGLE: Final = Google()
"""Knows the service account below; its bucket is called files."""
GOOGLE.create_bucket("files")
EMAIL: Final = "canary@canary-project.iam.gserviceaccount.com"
ACCOUNT: Final = GOOGLE.service_account(EMAIL)


@dataclass(frozen=True)
class Kind:
    """A provider, the fields of a destination, and below which URL of a server its operator says that it is.

    `secrets` are what must never be seen of it: secrets and key ids.
    """

    provider: Provider
    fields: Fields
    secrets: tuple[str, ...]
    below: str = ""

    def fields_at(self, url: str) -> Fields:
        """Return the fields of a destination there."""
        return {**self.fields, "s3_endpoint": url} if self.provider is s3compatible.PROVIDER else self.fields

    def settings_at(self, url: str) -> Settings:
        """Return settings by which destinations of this type are there, unless the customer says so."""
        if self.provider is s3compatible.PROVIDER:
            return loopback()
        endpoints: dict[str, Any] = {self.provider.type: url + self.below}
        return loopback(**endpoints)


def _s3(kind: str, key_id: str, secret: str) -> dict[str, Any]:
    keys = {"s3_access_key_id": key_id, "s3_secret_access_key": secret, "s3_bucket_name": "files"}
    return {**COMMON, "type": kind, **keys}


KINDS: Final[Mapping[str, Kind]] = {
    "s3": Kind(s3.PROVIDER, _s3("s3", "AKIACANARYCANARYCANA", S3_SECRET), (S3_SECRET, "AKIACANARYCANARYCANA")),
    "s3compatible": Kind(
        s3compatible.PROVIDER,
        _s3("s3compatible", "COMPATIBLECANARY", COMPATIBLE_SECRET),
        (COMPATIBLE_SECRET, "COMPATIBLECANARY"),
    ),
    "gcs by HMAC": Kind(
        gcs.PROVIDER,
        {
            **COMMON,
            "type": "gcs",
            "gcs_access_key": "GOOG1CANARYCANARY",
            "gcs_secret_key": HMAC_SECRET,
            "gcs_bucket_name": "files",
        },
        (HMAC_SECRET, "GOOG1CANARYCANARY"),
    ),
    "gcs by account": Kind(
        gcs.PROVIDER,
        {**COMMON, "type": "gcs", "gcs_service_account_json": ACCOUNT, "gcs_bucket_name": "files"},
        (*ACCOUNT["private_key"].splitlines()[1:-1], EMAIL, ACCOUNT["private_key_id"]),
    ),
    "azure": Kind(
        azure.PROVIDER,
        {
            **COMMON,
            "type": "azure",
            "azure_account_name": "demoaccount",
            "azure_account_key": AZURE_KEY,
            "azure_container_name": "files",
        },
        (AZURE_KEY,),
        below="/{account}",
    ),
    "oss": Kind(
        oss.PROVIDER,
        {
            **COMMON,
            "type": "oss",
            "oss_access_key": "LTAI5tCANARYCANARY",
            "oss_secret_key": OSS_SECRET,
            "oss_bucket_name": "files",
            "oss_region_id": "oss-cn-hangzhou",
        },
        (OSS_SECRET, "LTAI5tCANARYCANARY"),
    ),
}


async def verified(
    kind: Kind, url: str, *, timeout: float, settings: Settings | None = None, resolver: AbstractResolver | None = None
) -> Report:
    """Test a destination of that kind there, and check what holds of every report."""
    settings = settings or kind.settings_at(url)
    draft = draft_of(kind.provider, kind.fields_at(url), settings)
    async with open_outlets(settings, resolver=resolver) as outlets:
        began = time.monotonic()
        report = await verify(
            draft,
            kind.provider,
            lambda trace: outlets.transport(kind.provider, trace),
            found={},
            timeout=timeout,
            token=TOKEN,
        )
    assert_well_formed(report, (time.monotonic() - began) * 1000)
    return report


def steps(report: Report) -> list[str]:
    """Return the names of the steps; the last has its code if it failed."""
    return [step.step if step.ok else f"{step.step}: {step.code}" for step in report.steps]
