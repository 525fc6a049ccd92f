"""The smallest policy for each type: what it names, and that it is enough on a server with policies."""

import json
from typing import Any

import pytest

from consignee.body import BytesBody
from consignee.catalog import Catalog
from consignee.destination import Draft
from consignee.egress import Policy
from consignee.errors import AccessDenied, NotFound
from consignee.providers import discover, s3
from consignee.providers.memory import MemoryStorage
from consignee.verification import verify
from fakes.moto_iam import LEAST_PREFIX
from fakes.policies import PolicyServer
from providers.opening import S3_FIELDS, draft_of, loopback, opened


def policy_of(type_: str, **settings: str) -> Any:
    """Return the policy of a destination with these settings."""
    draft = Draft(type=type_, name="", enabled=True, settings=settings, secrets={})
    return Catalog(discover().values(), Policy()).policy(draft)


@pytest.mark.parametrize(
    ("prefix", "resource"),
    [
        ("", "bucket/*"),
        ("exports", "bucket/exports/*"),
        ("/exports//of/", "bucket/exports/of/*"),
        ("exports/%DATE%/x", "bucket/exports/*"),
        ("exports/day-%DATE%", "bucket/exports/day-*"),
        ("%DATE%", "bucket/*"),
        ("100%/of", "bucket/100%/of/*"),
        ("50%/x/%DATE%", "bucket/50%/x/*"),
        ("a*b?c$d", "bucket/a${*}b${?}c${$}d/*"),
    ],
)
@pytest.mark.parametrize("type_", ["s3", "s3compatible"])
def test_the_iam_policy_names_put_delete_and_abort_under_the_prefix(type_: str, prefix: str, resource: str) -> None:
    assert policy_of(type_, s3_bucket_name="bucket", s3_path_prefix=prefix) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
                "Resource": f"arn:aws:s3:::{resource}",
            }
        ],
    }


def test_the_ram_policy_names_put_delete_and_abort_under_the_prefix() -> None:
    found = policy_of("oss", oss_bucket_name="bucket", oss_path_prefix="exports/%DATE%")
    assert found["Version"] == "1"
    assert found["Statement"] == [
        {
            "Effect": "Allow",
            "Action": ["oss:PutObject", "oss:DeleteObject", "oss:AbortMultipartUpload"],
            "Resource": ["acs:oss:*:*:bucket/exports/*"],
        }
    ]
    starred = policy_of("oss", oss_bucket_name="bucket", oss_path_prefix="a*b")
    assert starred["Statement"][0]["Resource"] == ["acs:oss:*:*:bucket/a*"]


def test_the_role_at_google_is_bound_to_the_prefix() -> None:
    found = policy_of("gcs", gcs_bucket_name="bucket", gcs_path_prefix='ex"ports')
    assert set(found["role"]["includedPermissions"]) == {
        "storage.objects.create",
        "storage.objects.delete",
        "storage.multipartUploads.create",
        "storage.multipartUploads.abort",
    }
    expression = 'resource.name.startsWith("projects/_/buckets/bucket/objects/ex\\"ports/")'
    assert found["binding"]["condition"]["expression"] == expression


def test_the_role_at_azure_writes_and_deletes_blobs_of_the_container() -> None:
    found = policy_of("azure", azure_account_name="acct", azure_container_name="cont")
    assert [action.rpartition("blobs/")[2] for action in found["DataActions"]] == ["write", "add/action", "delete"]
    assert found["AssignableScopes"][0].endswith("/storageAccounts/acct/blobServices/default/containers/cont")


def test_every_type_has_a_policy_that_is_json() -> None:
    assert all(provider.policy for provider in discover().values())


def test_a_type_may_have_none() -> None:
    storage = MemoryStorage()
    with pytest.raises(NotFound):
        Catalog([storage.provider], Policy()).policy(
            Draft(type="memory", name="", enabled=True, settings={}, secrets={})
        )


async def test_exactly_that_policy_is_enough_and_not_more(moto_iam: PolicyServer) -> None:
    """The user `least` has what the policy says for LEAST_PREFIX, and nothing else."""
    from consignee.outlets import open_outlets

    key_id, secret = moto_iam.users["least"]
    fields = {**S3_FIELDS, "s3_access_key_id": key_id, "s3_secret_access_key": secret}
    fields |= {"s3_bucket_name": moto_iam.bucket, "s3_path_prefix": LEAST_PREFIX}
    settings = loopback(s3=moto_iam.url)
    async with open_outlets(settings) as outlets:
        report = await verify(
            draft_of(s3.PROVIDER, fields, settings),
            s3.PROVIDER,
            lambda trace: outlets.transport(s3.PROVIDER, trace),
            found={},
            timeout=10,
            token="x",
        )
    assert report.ok, json.dumps(report.to_json())
    async with opened(s3.PROVIDER, fields, settings) as bucket:
        with pytest.raises(AccessDenied):
            await bucket.put("elsewhere/x", BytesBody(b""))
