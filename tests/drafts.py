"""Destinations as customers send them, for the tests of the catalog."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from canaries import S3_SECRET
from consignee.catalog import Catalog
from consignee.destination import Destination
from consignee.egress import Policy
from consignee.errors import InvalidDestination
from consignee.providers import discover

CATALOG: Final = Catalog(discover().values(), Policy())
S3: Final[Mapping[str, Any]] = {
    "name": "Mine",
    "enabled": True,
    "type": "s3",
    "s3_access_key_id": "AKIAIOSFODNN7EXAMPLE",
    "s3_secret_access_key": S3_SECRET,
    "s3_bucket_name": "my-files",
}
COMPATIBLE: Final[Mapping[str, Any]] = {**S3, "type": "s3compatible", "s3_endpoint": "https://s3.example.com"}


def problems(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with a new destination."""
    with pytest.raises(InvalidDestination) as refused:
        CATALOG.parse(values)
    assert refused.value.code == "invalid_request"
    return refused.value.errors


def saved(values: Mapping[str, Any]) -> Destination:
    """Return a destination as it is kept."""
    draft = CATALOG.parse(values)
    return Destination(**vars(draft), account="acme", id="ABCD1234", revision=1, created_at="then", updated_at="then")
