"""Small objects through obstore, a Rust client with an asyncio face; for what it has no store of its own, by S3's protocol."""

from datetime import timedelta
from functools import partial
from typing import Any

from obstore.store import AzureStore, S3Store

from small_puts import ACCOUNT, ACCOUNT_KEY, BUCKET, CONTENT, KEY_ID, REGION, SECRET, asked, put_all, run


def store_of(kind: str, url: str) -> Any:
    """Return the store."""
    client: Any = {"allow_http": True, "pool_idle_timeout": timedelta(seconds=90)}
    if kind == "azure":
        return AzureStore(
            BUCKET, account_name=ACCOUNT, account_key=ACCOUNT_KEY, endpoint=f"{url}/{ACCOUNT}", client_options=client
        )
    return S3Store(
        BUCKET,
        endpoint=url,
        region=REGION,
        access_key_id=KEY_ID,
        secret_access_key=SECRET,
        virtual_hosted_style_request=False,
        # Else it would hash the body over https too, which the others don't.
        unsigned_payload=url.startswith("https:"),
        client_options=client,
    )


async def put(store: Any, key: str) -> None:
    """Write one object."""
    await store.put_async(key, CONTENT, use_multipart=False)


async def main() -> None:
    """Open the store that is asked for, and measure it."""
    kind, url, count, _ = asked()
    await put_all(partial(put, store_of(kind, url)), count)


if __name__ == "__main__":
    run(main())
