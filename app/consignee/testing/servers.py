"""What every Bucket promises that reaches its storage over HTTP, of servers that are no such storage."""

import json
import socket
from collections.abc import Callable

import pytest

from consignee.body import BytesBody
from consignee.errors import EndpointUnreachable, NotAStorageService, ProviderFailure, RedirectRefused
from consignee.testing.buckets import Subject
from consignee.testing.serving import answering

SubjectAt = Callable[[str], Subject]
"""Returns the subject whose requests go to a URL, be that by its settings or by its fields."""
_CANARY = "canary-of-what-the-server-writes"


class ServerContract:
    """Inherit this, and give it a fixture `subject_at`, which is a function from a URL to a Subject."""

    async def test_a_web_server_that_is_content_with_everything_is_no_storage(self, subject_at: SubjectAt) -> None:
        """A file that it has "taken" would be lost."""
        with answering(200, body="<html>Welcome</html>") as server:
            async with subject_at(server.url).open() as bucket:
                with pytest.raises(NotAStorageService):
                    await bucket.put("contract/nowhere", BytesBody(b"x"))

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_a_redirect_is_not_followed(self, subject_at: SubjectAt, status: int) -> None:
        """It may lead into a network that only this service can reach; and a success there would be somebody else's."""
        with answering(200, {"ETag": '"1"'}) as elsewhere:
            with answering(status, {"Location": f"{elsewhere.url}/somewhere"}) as server:
                async with subject_at(server.url).open() as bucket:
                    with pytest.raises(RedirectRefused):
                        await bucket.put("contract/redirected", BytesBody(b"x"))
                    with pytest.raises(RedirectRefused):
                        await bucket.delete("contract/redirected")
            assert elsewhere.asked == []

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 418, 429, 500, 503])
    @pytest.mark.parametrize("form", ["html", "json", "xml"])
    async def test_what_the_server_writes_is_not_handed_on(self, subject_at: SubjectAt, status: int, form: str) -> None:
        """Customers would read what an endpoint of somebody's choice has written."""
        bodies = {
            "html": f"<html>{_CANARY}</html>",
            "json": json.dumps({"error": {"code": _CANARY, "message": f"{_CANARY} <b>"}}),
            "xml": f"<Error><Code>NoSuchThing</Code><Message>{_CANARY}</Message></Error>",
        }
        with answering(status, {"X-Error": _CANARY}, bodies[form]) as server:
            async with subject_at(server.url).open() as bucket:
                with pytest.raises(ProviderFailure) as failed:
                    await bucket.put("contract/refused", BytesBody(b"x"))
        assert _CANARY not in str(failed.value) + failed.value.hint

    async def test_where_nobody_listens_the_endpoint_is_unreachable(self, subject_at: SubjectAt) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))  # and does not listen
            subject = subject_at(f"http://127.0.0.1:{closed.getsockname()[1]}")
            async with subject.open() as bucket:
                with pytest.raises(EndpointUnreachable):
                    await bucket.put("contract/nobody", BytesBody(b"x"))
                with pytest.raises(EndpointUnreachable):
                    await bucket.delete("contract/nobody")
