"""What the S3 server of the chaos tests answers, as S3 does.

https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from collections.abc import Mapping
from xml.sax.saxutils import escape

from fakes.scripted import Answer

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


class Refusal(Exception):
    """A request is answered with an error. `elements` go into the error's document, `headers` before it."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        elements: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.elements = dict(elements or {})
        self.headers = dict(headers or {})

    def answer(self, request_id: str) -> Answer:
        """Return the answer with S3's error document."""
        values = {"Code": self.code, "Message": self.message, **self.elements, "RequestId": request_id}
        body = f"{_DECLARATION}<Error>{_elements(values)}</Error>".encode()
        return Answer(self.status, {"Content-Type": "application/xml", **self.headers}, body)


def document(name: str, values: Mapping[str, str]) -> Answer:
    """Return a successful answer with an XML document."""
    body = f'{_DECLARATION}<{name} xmlns="{_NAMESPACE}">{_elements(values)}</{name}>'.encode()
    return Answer(200, {"Content-Type": "application/xml"}, body)


def _elements(values: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in values.items())


def internal_error() -> Refusal:
    """Return what S3 answers when the fault is its own."""
    return Refusal(500, "InternalError", "We encountered an internal error. Please try again.")


def slow_down(retry_after: int) -> Refusal:
    """Return what S3 answers when it is busy; `retry_after` is in seconds."""
    return Refusal(503, "SlowDown", "Please reduce your request rate.", headers={"Retry-After": str(retry_after)})


def access_denied() -> Refusal:
    """Return what S3 answers to keys without the right."""
    return Refusal(403, "AccessDenied", "Access Denied")


def no_such_upload() -> Refusal:
    """Return what S3 answers about an upload that was completed or aborted, or never was."""
    return Refusal(404, "NoSuchUpload", "The specified upload does not exist. It may have been aborted or completed.")
