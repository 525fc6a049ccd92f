"""The answers of Alibaba Cloud OSS: errors with its own words, and the headers that all have.

Bodies: https://www.alibabacloud.com/help/en/oss/user-guide/overview-14; codes by status:
https://www.alibabacloud.com/help/en/oss/user-guide/http-403-error-code and its neighbours for 400, 404, 429, 500 and 503.
`ec` is the vendor's finer code, each with a page: https://www.alibabacloud.com/help/en/oss/user-guide/0003-00001403
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from xml.sax.saxutils import escape

from fakes.scripted import Answer


@dataclass(frozen=True)
class Error:
    """An error that OSS answers with."""

    status: int
    code: str
    message: str
    ec: str = ""


INVALID_BUCKET_NAME = Error(400, "InvalidBucketName", "The specified bucket is not valid.")
INVALID_OBJECT_NAME = Error(400, "InvalidObjectName", "The specified object is not valid.")
INVALID_DIGEST = Error(400, "InvalidDigest", "The Content-MD5 you specified was invalid.", "0017-00000503")
# With one message for a signature in the header and in the URL alike, by reports of both.
INVALID_REGION = Error(400, "InvalidArgument", "Invalid signing region in Authorization header.", "0002-00000226")
INVALID_PRODUCT = Error(400, "InvalidArgument", "Invalid signing product in Authorization header.", "0002-00000227")
INVALID_DATE = Error(400, "InvalidArgument", "Invalid signing date in Authorization header.")
INVALID_ARGUMENT = Error(400, "InvalidArgument", "The signature of the request is not valid.")
INVALID_PART_NUMBER = Error(400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive.")
INVALID_PART = Error(
    400,
    "InvalidPart",
    "One or more of the specified parts could not be found or the specified entity tag might not have matched the "
    "part's entity tag.",
)
INVALID_PART_ORDER = Error(
    400,
    "InvalidPartOrder",
    "The list of parts was not in ascending order. Parts list must specified in order by part number.",
    "0042-00000209",
)
ENTITY_TOO_SMALL = Error(
    400, "EntityTooSmall", "Your proposed upload smaller than the minimum allowed size.", "0042-00000213"
)
ENTITY_TOO_LARGE = Error(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.")
MALFORMED_XML = Error(
    400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema."
)

ACCESS_DENIED = Error(
    403, "AccessDenied", "You have no right to access this object because of bucket acl.", "0003-00000001"
)
ANONYMOUS = Error(403, "AccessDenied", "Anonymous user has no right to access this object.")
# The page says 403 and that the version is discontinued; not the code, nor the words.
OLD_SIGNATURE = Error(403, "AccessDenied", "Signature version 1 is no longer supported.", "0002-00000080")
OTHER_ENDPOINT = Error(
    403,
    "AccessDenied",
    "The bucket you are attempting to access must be addressed using the specified endpoint. "
    "Please send all future requests to this endpoint.",
    "0003-00001403",
)
EXPIRED = Error(403, "AccessDenied", "Request has expired.", "0002-00000236")
# The page has no body either; only that a signed URL is refused more than 15 minutes before its time.
NOT_YET_VALID = Error(403, "AccessDenied", "Request is not valid yet.", "0002-00000235")
INVALID_ACCESS_KEY_ID = Error(
    403, "InvalidAccessKeyId", "The OSS Access Key Id you provided does not exist in our records.", "0002-00000902"
)
INACTIVE_ACCESS_KEY_ID = Error(
    403, "InvalidAccessKeyId", "The OSS Access Key Id you provided is disabled.", "0002-00000904"
)
INVALID_SECURITY_TOKEN = Error(403, "InvalidSecurityToken", "The security token you provided is invalid.")
SIGNATURE_DOES_NOT_MATCH = Error(
    403,
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
    "0002-00000040",
)
REQUEST_TIME_TOO_SKEWED = Error(
    403,
    "RequestTimeTooSkewed",
    "The difference between the request time and the current time is too large.",
    "0002-00000504",
)
SECOND_LEVEL_DOMAIN = Error(
    403,
    "SecondLevelDomainForbidden",
    "The bucket you are attempting to access must be addressed using OSS third level domain.",
)
USER_DISABLE = Error(403, "UserDisable", "UserDisable", "0003-00000801")
IN_DEBT = Error(403, "InDebt", "Current user is indebted.")
IN_DEBT_OVERDUE = Error(403, "InDebtOverdue", "Current user is indebted Overdue.")
BUCKET_DISABLE = Error(403, "BucketDisable", "BucketDisable")

NO_SUCH_BUCKET = Error(404, "NoSuchBucket", "The specified bucket does not exist.", "0015-00000101")
NO_SUCH_KEY = Error(404, "NoSuchKey", "The specified key does not exist.", "0026-00000001")
NO_SUCH_UPLOAD = Error(
    404,
    "NoSuchUpload",
    "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
)
METHOD_NOT_ALLOWED = Error(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
INVALID_RANGE = Error(416, "InvalidRange", "The requested range cannot be satisfied.")
QPS_LIMIT_EXCEEDED = Error(429, "QpsLimitExceeded", "Please reduce your request rate.")
INTERNAL_ERROR = Error(500, "InternalError", "We encountered an internal error. Please try again.")
NOT_IMPLEMENTED = Error(501, "NotImplemented", "A header you provided implies functionality that is not implemented.")
SERVICE_UNAVAILABLE = Error(503, "ServiceUnavailable", "Thread pool is almost full, please retry later.")
# Not on the vendor's pages; S3's word, which its S3-compatible side may say.
SLOW_DOWN = Error(503, "SlowDown", "Please reduce your request rate.")
TOTAL_QPS_LIMIT_EXCEEDED = Error(503, "TotalQpsLimitExceeded", "Max total qps limit is exceeded.", "0004-00000302")
UPLOAD_TRAFFIC_RATE_LIMIT_EXCEEDED = Error(
    503, "UploadTrafficRateLimitExceeded", "Please reduce your upload request traffic.", "0004-00000304"
)

ERRORS = tuple(value for value in globals().values() if isinstance(value, Error))


class Refusal(Exception):
    """What a request is refused with; `details` are further elements of the error's body."""

    def __init__(self, error: Error, details: Mapping[str, str] | None = None) -> None:
        super().__init__(error.code)
        self.error = error
        self.details = dict(details or {})


def moment(when: datetime) -> str:
    """Return a time as in the bodies: 2026-11-20T08:30:00.000Z."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def plain(status: int, request_id: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
    """Return an answer without a document."""
    return Answer(status, _common(request_id) | dict(headers or {}), body)


def told(request_id: str, root: str, elements: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Answer:
    """Return a success with a document."""
    named = _common(request_id) | {"Content-Type": "application/xml"} | dict(headers or {})
    return Answer(200, named, _document(root, elements))


def refused(refusal: Refusal, *, request_id: str, host: str) -> Answer:
    """Return the answer for a refused request."""
    error = refusal.error
    elements = {
        "Code": error.code,
        "Message": error.message,
        "RequestId": request_id,
        "HostId": host,
        **refusal.details,
    }
    headers = _common(request_id) | {"Content-Type": "application/xml"}
    if error.ec:
        elements |= {"EC": error.ec, "RecommendDoc": f"https://api.aliyun.com/troubleshoot?q={error.ec}"}
        headers["x-oss-ec"] = error.ec
    return Answer(error.status, headers, _document("Error", elements))


def _document(root: str, elements: Mapping[str, str]) -> bytes:
    lines = [f"  <{name}>{escape(value)}</{name}>" for name, value in elements.items()]
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', f"<{root}>", *lines, f"</{root}>", ""]).encode()


def _common(request_id: str) -> dict[str, str]:
    return {"Server": "AliyunOSS", "x-oss-request-id": request_id, "x-oss-server-time": "1"}
