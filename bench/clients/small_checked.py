"""A small object to a server that checks its signature and its digest, by the client that is measured; prints what came of it."""

import asyncio
import importlib.util

from consignee.demo.storage import running_storage
from consignee.errors import CredentialsRejected
from small_consignee import opened, put
from small_puts import BUCKET, CONTENT

USER, SECRET = "bench:writer", "bench+secret/of+the+bench"


async def main() -> None:
    """Write it, read it back, and see that another secret is refused."""
    async with running_storage({USER: SECRET}) as server:
        await server.create_bucket(USER, BUCKET)
        async with opened("s3", server.url, s3_access_key_id=USER, s3_secret_access_key=SECRET) as bucket:
            await put(bucket, "a folder/é~1")
        if await server.read(USER, BUCKET, "a folder/é~1") != CONTENT:
            raise SystemExit("what arrived is not what was sent")
        async with opened("s3", server.url, s3_access_key_id=USER, s3_secret_access_key="another") as bucket:
            try:
                await put(bucket, "refused")
            except CredentialsRejected:
                print("signature checked: yes; what arrived is what was sent; another secret is refused")
                return
        raise SystemExit("nothing checks the signature")


if __name__ == "__main__":
    if importlib.util.find_spec("swift") is None:
        print("not run: swift is not installed")
    else:
        asyncio.run(main())
