"""Everything that is raised on purpose.

    ConsigneeError                  code
      SettingsError                 the configuration can't be used; the operator must act
      MissingExtra                  an optional package is not installed; says which
      InvalidRequest                invalid_request: every wrong field at once
        InvalidDestination          the fields of a destination are wrong
      NotFound                      not_found: no such thing, or somebody else's
      LimitReached                  limit_reached: the account is full
      Conflict                      conflict: somebody else changed it meanwhile
      IdempotencyKeyReused          idempotency_key_reused: the same key, but another request
      RateLimited                   rate_limited: too many at once; says when to come back
      VerificationFailed            the code of the step that failed; carries the step report
      StoreError                    unavailable: the store could not do it, nothing was changed
        StoreFull                   there is no room on the disk; what is there can still be read and removed
        OutcomeUnknown              the store may have done it, or not, and could not find out
        StoreUnusable               the store can't be opened; says which file and what to do
      ProviderFailure               a step at the customer's storage failed
        CredentialsRejected         credentials_rejected
        AccessDenied                access_denied
        BucketNotFound              bucket_not_found
        WrongRegion                 wrong_region
        ClockSkew                   clock_skew
        EndpointRefused             endpoint_refused: by our own egress policy
        RedirectRefused             redirect_refused
        EndpointUnreachable         endpoint_unreachable
        TlsFailed                   tls_failed
        TimedOut                    timeout
        Throttled                   throttled
        NotAStorageService          not_a_storage_service
        FileTooLarge                file_too_large: larger than this storage takes
        KeyTooLong                  key_too_long: a path prefix and a file's name that are too long together
        FileDamaged                 file_damaged: what we kept of a file is not what was taken in
        ProviderError               provider_error

No message holds a secret, and none quotes what a vendor wrote.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from consignee.rates import Quota
    from consignee.verification import Report


class ConsigneeError(Exception):
    """The root: catch it to catch all of them."""

    code: ClassVar[str] = "internal_error"


class SettingsError(ConsigneeError):
    """The configuration can't be used as it is."""


class MissingExtra(ConsigneeError):
    """A destination type, or what else `needs` it, needs a package that is not installed."""

    code = "unavailable"

    def __init__(self, extra: str, *, needs: str = "this destination type") -> None:
        super().__init__(f"{needs} needs: pip install 'consignee[{extra}]'")
        self.extra = extra


class InvalidRequest(ConsigneeError):
    """What was sent can't be accepted; `errors` names every wrong field with what is wrong."""

    code = "invalid_request"

    def __init__(self, errors: Mapping[str, Sequence[str]], message: str | None = None) -> None:
        self.errors = {field: list(texts) for field, texts in errors.items()}
        super().__init__(message or _summary(self.errors))


def _summary(errors: Mapping[str, Sequence[str]]) -> str:
    return "Invalid: " + ", ".join(sorted(errors)) + "." if errors else "The request is invalid."


class InvalidDestination(InvalidRequest):
    """The fields of a destination are wrong."""


class NotFound(ConsigneeError):
    """There is no such thing in this account."""

    code = "not_found"


class LimitReached(ConsigneeError):
    """The account holds as many as it may."""

    code = "limit_reached"


class Conflict(ConsigneeError):
    """It was changed or removed by somebody else meanwhile; read it again and repeat."""

    code = "conflict"


class IdempotencyKeyReused(ConsigneeError):
    """Another request came with that key; nothing was done."""

    code = "idempotency_key_reused"


class RateLimited(ConsigneeError):
    """Too much at once; `retry_after` is in seconds, `quota` what a rate leaves, if it is one."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after: int, quota: "Quota | None" = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.quota = quota


class VerificationFailed(ConsigneeError):
    """The connectivity test failed; `report` says at which step, why, and what to do."""

    def __init__(self, report: "Report") -> None:
        super().__init__(report.message)
        self.report = report
        self.code = report.code or "provider_error"  # type: ignore[misc]


class StoreError(ConsigneeError):
    """The store could not do it. What was there before is still there."""

    code = "unavailable"


class StoreFull(StoreError):
    """There is no room on the disk. What is there can still be read and removed."""


class OutcomeUnknown(StoreError):
    """The store was lost while it did it, and could not find out: it was done, or not."""


class StoreUnusable(StoreError):
    """The store can't be opened: corrupt, locked, newer than this version, or without its key."""


class ProviderFailure(ConsigneeError):
    """A step at the customer's storage failed.

    `provider_code` and `provider_request_id` are the vendor's own, if they are well formed; `hint` says what to do;
    `retry_after` is in seconds. `transient` says whether the same request may work later.
    """

    transient: ClassVar[bool] = False
    hint: str = ""
    accepted: bool = False
    """Whether the storage may have taken the file all the same."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        provider_code: str | None = None,
        provider_request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint
        self.provider_code = provider_code
        self.provider_request_id = provider_request_id
        self.retry_after = retry_after


class CredentialsRejected(ProviderFailure):
    """The storage does not know the key, or the secret does not belong to it."""

    code = "credentials_rejected"
    hint = "Check the access key and the secret: copy both again, whole and without spaces."


class AccessDenied(ProviderFailure):
    """The key is good, but has no right to do this."""

    code = "access_denied"
    hint = "Give this key the right to write and to delete objects under the path prefix of this bucket."


class BucketNotFound(ProviderFailure):
    """There is no such bucket or container."""

    code = "bucket_not_found"
    hint = "Check the spelling of the bucket, or create it; consignee never creates buckets."


class WrongRegion(ProviderFailure):
    """The bucket is in another region, or answers at another endpoint."""

    code = "wrong_region"
    hint = "Set the region and the endpoint that the bucket was created in."


class ClockSkew(ProviderFailure):
    """The clock of this server differs too much from the storage's."""

    code = "clock_skew"
    hint = "Ask the operator of this service to correct its clock; the destination itself may be fine."
    transient = True


class EndpointRefused(ProviderFailure):
    """Our own policy forbids connecting to this address."""

    code = "endpoint_refused"
    hint = "The endpoint leads to a private or reserved address. Use a public one, or ask the operator to allow it."


class RedirectRefused(ProviderFailure):
    """The endpoint sent us elsewhere; redirects are never followed."""

    code = "redirect_refused"
    hint = "Enter the final address of the storage service itself, with https; redirects are not followed."


class EndpointUnreachable(ProviderFailure):
    """No such host, nobody listens there, or the connection broke."""

    code = "endpoint_unreachable"
    hint = "Check the host name and the port, and that the storage accepts connections from the internet."
    transient = True


class TlsFailed(ProviderFailure):
    """No TLS at that port, or a certificate that can't be trusted."""

    code = "tls_failed"
    hint = "The endpoint must speak TLS with a certificate for its own name from a public authority."


class TimedOut(ProviderFailure):
    """No complete answer in time."""

    code = "timeout"
    hint = "The storage did not answer in time. Check the endpoint, then try again."
    transient = True


class Throttled(ProviderFailure):
    """The storage asks us to slow down."""

    code = "throttled"
    hint = "The storage is limiting requests. Wait a little, then try again."
    transient = True


class NotAStorageService(ProviderFailure):
    """Somebody answers there, but not a storage service."""

    code = "not_a_storage_service"
    hint = "The endpoint answered like an ordinary web server. Enter the address of the storage API itself."


class FileTooLarge(ProviderFailure):
    """The file is larger than the storage takes."""

    code = "file_too_large"
    hint = "Split the file, or choose another kind of storage."


class KeyTooLong(ProviderFailure):
    """The key of an object would be longer than the storage takes."""

    code = "key_too_long"
    hint = "Shorten the path prefix, the collection's name or the file's name."


class FileDamaged(ProviderFailure):
    """What lies on our own disk is not what was taken in: it must not arrive as if it were."""

    code = "file_damaged"
    hint = "Upload the result set again, and ask the operator of this service to check its disk."


class ProviderError(ProviderFailure):
    """Anything else that the storage reports."""

    code = "provider_error"
    hint = "The storage reported a fault of its own. Try again later, and look at the status page of the provider."
    transient = True
