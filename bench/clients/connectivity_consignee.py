"""The connectivity test of consignee, as POST /destinations/test runs it: fields checked, what may stay behind made durable."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectivity import CROWD, Test, measure
from consignee import Settings, open_destinations
from consignee.providers.gcs_account import TOKEN_URI
from consignee.sections import (
    EgressSettings,
    LimitsSettings,
    ProviderSettings,
    SecretsSettings,
    StoreSettings,
    VerificationSettings,
)

KEYS: Final = {"s3_access_key_id": "bench", "s3_secret_access_key": "bench-bench-bench"}
FIELDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "s3": {**KEYS, "s3_bucket_name": "bucket"},
    "s3compatible": {**KEYS, "s3_bucket_name": "bucket", "s3_region": "us-east-1"},
    "gcs": {"gcs_access_key": "bench", "gcs_secret_key": "bench-bench-bench", "gcs_bucket_name": "bucket"},
    "azure": {
        "azure_account_name": "bench",
        "azure_account_key": "YmVuY2g=",
        "azure_container_name": "bucket",
    },
    "oss": {
        "oss_access_key": "bench",
        "oss_secret_key": "bench-bench-bench",
        "oss_bucket_name": "bucket",
        "oss_region_id": "oss-eu-central-1",
    },
}


def service_account() -> str:
    """Return the key file of a service account."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = {"type": "service_account", "client_email": "bench@bench", "private_key": pem, "token_uri": TOKEN_URI}
    return json.dumps(account)


def settings(kind: str, url: str, ca_file: str, home: Path) -> Settings:
    """As a user would write them, but for a sink on loopback, and as many tests at once as are measured."""
    return replace(
        Settings(),
        store=StoreSettings(path=str(home / "store")),
        secrets=SecretsSettings(key_file=str(home / "secret.key")),
        egress=EgressSettings(allow=("127.0.0.1/32:*", "::1/128:*"), allow_names=("localhost",), ca_file=ca_file),
        limits=LimitsSettings(tests_per_second=0),
        verification=VerificationSettings(concurrency=2 * CROWD),
        providers={} if kind == "s3compatible" else {kind: ProviderSettings(endpoint_url=url)},
    )


async def main(kind: str, url: str, ca_file: str, home: Path, round_trip_ms: float) -> None:
    """Measure tests of a destination of that kind."""
    kind, _, token = kind.partition(" ")
    fields = {"type": kind, "name": "Bench", "enabled": True, **FIELDS[kind]}
    if kind == "s3compatible":
        fields["s3_endpoint"] = url
    if token:
        fields = {name: value for name, value in fields.items() if "key" not in name}
        fields["gcs_service_account_json"] = service_account()  # 30 ms of OpenSSL's to check, unless it is saved

    @asynccontextmanager
    async def opened() -> AsyncIterator[Test]:
        async with open_destinations(settings(kind, url, ca_file, home)) as destinations:
            if not token:
                yield lambda _: destinations.test("bench", fields)
                return
            saved = await destinations.create("bench", {**fields, "enabled": False})
            yield lambda _: destinations.test_saved("bench", saved.id)

    await measure(opened, round_trip_ms, crowded=not token)


if __name__ == "__main__":
    measuring = main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]), float(sys.argv[5]))
    if sys.argv[6:] == ["uvloop"]:
        import uvloop

        uvloop.run(measuring)
    else:
        asyncio.run(measuring)
