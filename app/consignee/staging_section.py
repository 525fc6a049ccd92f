"""The settings of the staging bucket. What its type needs has the names that a destination of that type has for it."""

from dataclasses import dataclass

from consignee.rules import BARE_URL, KEY_PREFIX, between, one_of
from consignee.secret import Secret
from consignee.setting import setting


@dataclass(frozen=True)
class StagingSettings:
    """The bucket that holds the files of result sets, for servers and workers on several machines."""

    type: str = setting(
        "",
        "Type of the bucket that holds the files of result sets; empty: a directory does.",
        one_of("", "s3", "s3compatible", "gcs", "azure", "oss"),
    )
    prefix: str = setting("consignee", "What the keys of its objects begin with.", KEY_PREFIX)
    endpoint_url: str = setting("", "The operator's own endpoint for it; empty: the vendor's.", BARE_URL)
    memory_pieces: int = setting(
        32, "Pieces of arriving files, of 8 MiB each, that may be in memory at once.", between(1, 10_000)
    )
    s3_bucket_name: str = setting("", "For s3 and s3compatible: the bucket.")
    s3_endpoint: str = setting("", "For s3compatible: the URL of the store.")
    s3_region: str = setting("", "For s3compatible: the region; empty: found out.")
    s3_addressing_style: str = setting(
        "", "For s3compatible: path, virtual or auto; empty: path.", one_of("", "path", "virtual", "auto")
    )
    s3_access_key_id: Secret | None = setting(None, "For s3 and s3compatible: the access key's id.", in_file=False)  # noqa: RUF009, for it returns a field
    s3_secret_access_key: Secret | None = setting(  # noqa: RUF009, for it returns a field
        None, "For s3 and s3compatible: the access key's secret.", in_file=False
    )
    gcs_bucket_name: str = setting("", "For gcs: the bucket.")
    gcs_access_key: Secret | None = setting(None, "For gcs: the HMAC access key.", in_file=False)  # noqa: RUF009, for it returns a field
    gcs_secret_key: Secret | None = setting(None, "For gcs: the HMAC secret.", in_file=False)  # noqa: RUF009, for it returns a field
    gcs_service_account_json: Secret | None = setting(  # noqa: RUF009, for it returns a field
        None, "For gcs: a service account's key file, in place of both.", in_file=False
    )
    azure_account_name: str = setting("", "For azure: the storage account.")
    azure_container_name: str = setting("", "For azure: the container.")
    azure_account_key: Secret | None = setting(None, "For azure: the storage account's key.", in_file=False)  # noqa: RUF009, for it returns a field
    oss_bucket_name: str = setting("", "For oss: the bucket.")
    oss_region_id: str = setting("", "For oss: the region, such as oss-eu-central-1.")
    oss_access_key: Secret | None = setting(None, "For oss: the access key's id.", in_file=False)  # noqa: RUF009, for it returns a field
    oss_secret_key: Secret | None = setting(None, "For oss: the access key's secret.", in_file=False)  # noqa: RUF009, for it returns a field
