"""What is done to a real service with a person's own credentials: the same as to the servers of the tests.

Everything is written under one folder of its own, and removed at the end, also after a failure.
"""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from consignee.body import BytesBody
from consignee.errors import ProviderFailure
from consignee.outlets import open_outlets
from consignee.providers import Bucket, Provider
from consignee.settings import Settings
from consignee.verification import verify
from live.delivering import delivered
from providers.opening import COMMON, draft_of, opened

NAMES: Final = ("plain", "a b+c%20d~.txt", "ünï/cödé", ".hidden", "empty")
VARIABLE: Final = "CONSIGNEE_LIVE_"


@dataclass(frozen=True)
class Expected:
    """What the server of the tests says: our code, and its own."""

    wrong_secret: tuple[str, str | None]
    no_bucket: tuple[str, str | None]


EXPECTED: Final[Mapping[str, Expected]] = {
    "s3": Expected(("credentials_rejected", "SignatureDoesNotMatch"), ("bucket_not_found", "NoSuchBucket")),
    "s3compatible": Expected(("credentials_rejected", "SignatureDoesNotMatch"), ("bucket_not_found", "NoSuchBucket")),
    "gcs": Expected(("credentials_rejected", "SignatureDoesNotMatch"), ("bucket_not_found", "NoSuchBucket")),
    "azure": Expected(("credentials_rejected", "AuthorizationFailure"), ("bucket_not_found", "ContainerNotFound")),
    "oss": Expected(("credentials_rejected", "SignatureDoesNotMatch"), ("bucket_not_found", "NoSuchBucket")),
}
"""For gcs by HMAC keys; by service account, Google is asked for a token first and has codes of its own."""

WRONG: Final[Mapping[str, str]] = {
    "s3_secret_access_key": "wrong",
    "gcs_secret_key": "wrong",
    "azure_account_key": "d3Jvbmc=",
    "oss_secret_key": "wrong",
}
ABSENT: Final = f"no-such-bucket-{secrets.token_hex(8)}"
BUCKETS: Final = ("s3_bucket_name", "gcs_bucket_name", "azure_container_name", "oss_bucket_name")


def variable(type_: str, field: str) -> str:
    """Return the name of the environment's variable for a field: `s3_bucket_name` of s3 is CONSIGNEE_LIVE_S3_BUCKET."""
    short = field.partition("_")[2].removesuffix("_name")
    return f"{VARIABLE}{type_}_{short}".upper()


def fields_in(environ: Mapping[str, str], provider: Provider) -> dict[str, Any] | None:
    """Return the fields of a destination whose credentials are in the environment, or None."""
    names = [name for name in provider.fields().fields if name not in COMMON]
    given = {name: environ[variable(provider.type, name)] for name in names if variable(provider.type, name) in environ}
    return {**COMMON, "type": provider.type, **given} if given else None


async def exercise(provider: Provider, fields: Mapping[str, Any], settings: Settings) -> list[str]:
    """Run everything; return where the answers differ from those that the tests know. A failure of the main job raises."""
    async with opened(provider, fields, settings) as bucket, _cleaned(bucket) as folder:
        for name in NAMES:
            await bucket.put(folder + name, BytesBody(b"" if name == "empty" else name.encode()))
        await bucket.put(folder + NAMES[0], BytesBody(b"replaced"))
        for name in (*NAMES, "absent"):
            await bucket.delete(folder + name)
    await _verified(provider, fields, settings)
    await delivered(provider, fields, settings)
    return [difference async for difference in _differences(provider, fields, settings)]


@asynccontextmanager
async def _cleaned(bucket: Bucket) -> AsyncIterator[str]:
    folder = f"consignee-live-test-{secrets.token_hex(4)}/"
    try:
        yield folder
    finally:
        for name in NAMES:
            await bucket.delete(folder + name)


async def _verified(provider: Provider, fields: Mapping[str, Any], settings: Settings) -> None:
    async with open_outlets(settings) as outlets:
        report = await verify(
            draft_of(provider, fields, settings),
            provider,
            lambda trace: outlets.transport(provider, trace),
            found={},
            timeout=30,
            token=secrets.token_hex(8),
        )
    report.require_ok()


async def _differences(provider: Provider, fields: Mapping[str, Any], settings: Settings) -> AsyncIterator[str]:
    expected = EXPECTED[provider.type]
    wrong = {name: value for name, value in WRONG.items() if name in fields}
    cases = [("no bucket", {name: ABSENT for name in BUCKETS if name in fields}, expected.no_bucket)]
    if wrong:
        cases.append(("wrong secret", wrong, expected.wrong_secret))
    for what, change, known in cases:
        found = await _refusal(lambda bucket: bucket.put("x", BytesBody(b"")), provider, {**fields, **change}, settings)
        if found != known:
            yield f"{what}: {found[0]} ({found[1]}), where the server of the tests gives {known[0]} ({known[1]})"


async def _refusal(
    act: Callable[[Bucket], Awaitable[None]], provider: Provider, fields: Mapping[str, Any], settings: Settings
) -> tuple[str, str | None]:
    try:
        async with opened(provider, fields, settings) as bucket:
            await act(bucket)
    except ProviderFailure as failure:
        return failure.code, failure.provider_code
    return "success", None
