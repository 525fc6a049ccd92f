"""What a client raises, all of it a ConsigneeError:

ClientError           the request did not do what it should
  ApiError            the service answered, and did not do it
  Unreachable         no answer, or half of one: what became of the request is not known
  NotUnderstood       an answer that consignee does not give: something else stands there, or between
  Unsuitable          a file can't be sent; nothing is delivered

No message holds the API key, and no exception leads to one that does.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from consignee.errors import ConsigneeError

if TYPE_CHECKING:
    from consignee.client.answers import Connectivity


class ClientError(ConsigneeError):
    """A request did not do what it should. `passing`: the same request may go well later.

    With `idempotency_key`, it may be made again under that key, whatever became of it: it is carried out once.
    """

    passing: bool = False
    idempotency_key: str | None = None
    retry_after: float | None = None
    """Seconds after which the service wants to be asked again, if it said so."""


class ApiError(ClientError):
    """The service answered, and did not do it.

    `code` is a stable word for programs, `status` that of HTTP. `errors` names each wrong field with what is wrong;
    `connectivity` is the report of a connectivity test that failed; `trace_id` finds the request in the service's log.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int,
        errors: Mapping[str, Sequence[str]] | None = None,
        connectivity: "Connectivity | None" = None,
        retry_after: float | None = None,
        trace_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]
        self.status = status
        self.errors = {field: list(texts) for field, texts in (errors or {}).items()}
        self.connectivity = connectivity
        self.retry_after = retry_after
        self.trace_id = trace_id
        self.passing = status >= 500 or status == 429


class Unreachable(ClientError):
    """There was no answer, or half of one."""

    code = "unreachable"
    passing = True


class NotUnderstood(ClientError):
    """What answered is not consignee, or not in its right mind; `status` is that of HTTP."""

    code = "not_understood"
    passing = True

    def __init__(self, message: str, *, status: int = 200) -> None:
        super().__init__(message)
        self.status = status


class Unsuitable(ClientError):
    """A file can't be sent as it is."""

    code = "unsuitable"
