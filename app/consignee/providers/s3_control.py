"""The calls that begin, complete and abort an upload in parts: aiobotocore writes and reads them, our own transport carries them.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html and its neighbours. aiobotocore opens no connection
here, and is told neither a key nor the name of anything: where a request goes, and who signs it, is decided by who carries it.
"""

import asyncio
import functools
import importlib
import os
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import urlsplit

from consignee.errors import MissingExtra, NotAStorageService
from consignee.transport import Answer

Carry = Callable[[str, str, bytes], Awaitable[Answer]]
"""Sends a request by its method, its query as it is on the wire, and its body; returns a success, or raises."""

NOWHERE: Final = "https://s3.invalid"
_ENCRYPTION: Final = "x-amz-server-side-encryption"
_LOADING: Final = threading.Lock()
_NAMES: Final = {"Bucket": "bucket", "Key": "key"}
"""In place of the real ones: the library has rules of its own for some names, and would choose another place."""


_carry: Final[ContextVar[Carry]] = ContextVar("carry")
"""Who carries the call that this task makes: all calls share one client, which costs far more than a call."""


class _Carried:
    """What the client takes for its HTTP session; hands each request on, and answers with what came back."""

    def __init__(self, response: Callable[..., Any], **_settings: object) -> None:
        self._response = response

    async def __aenter__(self) -> "_Carried":
        return self

    async def __aexit__(self, *_: object) -> None:
        """There is nothing to close."""

    async def close(self) -> None:
        """There is nothing to close."""

    async def send(self, request: Any) -> Any:
        answer = await _carry.get()(request.method, urlsplit(request.url).query, request.body or b"")
        # Of other headers it would make times and numbers, whatever they hold.
        headers = {_ENCRYPTION: answer.headers[_ENCRYPTION]} if _ENCRYPTION in answer.headers else {}
        # A storage that takes its time sends white space first, which no XML declaration may follow.
        content = answer.body.lstrip()

        async def read() -> bytes:
            return content

        return self._response(request.url, answer.status, headers, SimpleNamespace(read=read))


async def call(operation: str, carry: Carry, *, extra: str, **parameters: Any) -> Mapping[str, Any]:
    """Make one call and return what the answer says.

    Raises what `carry` raises, NotAStorageService for an answer that is none, and MissingExtra if aiobotocore is not installed.
    """
    try:
        aio = await asyncio.to_thread(_library)
    except ModuleNotFoundError as error:
        raise MissingExtra(extra) from error
    carried = _carry.set(carry)
    try:
        result: Mapping[str, Any] = await getattr(aio.client, operation)(**_NAMES, **parameters)
        return result
    except aio.failures:  # whose text quotes what was answered
        raise NotAStorageService("The endpoint does not answer like a storage service.") from None
    finally:
        _carry.reset(carried)


def _client(aio: SimpleNamespace) -> Any:
    """Return a client that signs nothing, repeats nothing, asks nobody else, and adds no checksums of its own."""
    config = aio.config(
        http_session_cls=functools.partial(_Carried, aio.response),
        signature_version=aio.unsigned,
        proxies={},
        ignore_configured_endpoint_urls=True,
        retries={"total_max_attempts": 1, "mode": "legacy"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"},
    )
    # The keys are not used, but without any it would look for the operator's own.
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
    return aio.session.create_client("s3", region_name="us-east-1", endpoint_url=NOWHERE, config=config, **keys)


def _library() -> SimpleNamespace:
    """Return what is needed of aiobotocore; to import it and read its model takes most of a second, hence a thread, once."""
    with _LOADING:
        return _loaded()


@functools.cache
def _loaded() -> SimpleNamespace:
    aiobotocore, botocore = importlib.import_module("aiobotocore.session"), importlib.import_module("botocore")
    exceptions, parsers = (importlib.import_module(f"botocore.{name}") for name in ("exceptions", "parsers"))
    session = aiobotocore.AioSession()
    _ignore_environment(session)
    aio = SimpleNamespace(
        session=session,
        config=importlib.import_module("aiobotocore.config").AioConfig,
        response=importlib.import_module("aiobotocore.awsrequest").AioAWSResponse,
        unsigned=botocore.UNSIGNED,
        failures=(exceptions.BotoCoreError, exceptions.ClientError, parsers.ResponseParserError, ValueError),
    )
    aio.client = asyncio.run(_opened(aio))
    return aio


async def _opened(aio: SimpleNamespace) -> Any:
    """Return the client; it holds nothing that would have to be closed."""
    client = await _client(aio).__aenter__()
    client.meta.events.register("before-call.s3", _stay)
    return client


def _stay(context: dict[str, Any], **_: object) -> None:
    """Let no answer lead elsewhere: the client would ask twice, and remember it for the calls of everybody else."""
    context.setdefault("s3_redirect", {})["redirected"] = True


def _ignore_environment(session: Any) -> None:
    """Let every setting have its default, whatever variables, profiles and files of the operator's say."""
    provider = importlib.import_module("botocore.configprovider")
    loaders = importlib.import_module("botocore.loaders")
    defaults = {name: default for name, (_, _, default, _) in session.session_var_map.items()}
    defaults |= {"config_file": os.devnull, "credentials_file": os.devnull}
    constants = {name: provider.ConstantProvider(value) for name, value in defaults.items()}
    session.register_component("config_store", provider.ConfigValueStore(mapping=constants))
    built_in = loaders.Loader(extra_search_paths=[loaders.Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    session.register_component("data_loader", built_in)
