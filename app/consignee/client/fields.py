"""What a destination is made of, for type checkers; a plain dict does as well, as for types of others."""

from typing import TypedDict

from consignee.secret import Secret


class DestinationFields(TypedDict, total=False):
    """The fields of a destination. Which ones a type has, and which it needs, the service says."""

    name: str
    type: str
    enabled: bool
    s3_access_key_id: str | Secret
    s3_secret_access_key: str | Secret
    s3_bucket_name: str
    s3_path_prefix: str | None
    s3_endpoint: str
    s3_region: str | None
    s3_addressing_style: str | None
    gcs_access_key: str | Secret
    gcs_secret_key: str | Secret
    gcs_service_account_json: str | Secret | None
    gcs_bucket_name: str
    gcs_path_prefix: str | None
    azure_account_name: str
    azure_account_key: str | Secret
    azure_container_name: str
    azure_path_prefix: str | None
    oss_access_key: str | Secret
    oss_secret_key: str | Secret
    oss_bucket_name: str
    oss_region_id: str
    oss_path_prefix: str | None
