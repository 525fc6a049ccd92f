"""The form of a destination, filled in as a person does."""

import re
from collections.abc import Mapping

from playwright.async_api import Page

from browser.account import USER, Account


async def fill_in(page: Page, account: Account, *, name: str = "Reports for finance", secret: str = "") -> None:
    """Fill in the fields of a destination in the account's bucket."""
    await page.get_by_label("Where is the bucket?").select_option(value="s3compatible/")
    fields = {
        "Name": name,
        "Endpoint": account.storage.url,
        "Bucket name": account.bucket,
        "Path prefix": "reports/%DATE%",
        "Access key ID": USER,
        "Secret access key": secret or account.storage.users[USER],
    }
    await type_in(page, fields)


async def type_in(page: Page, fields: Mapping[str, str]) -> None:
    """Type into the fields with these labels."""
    for label, value in fields.items():
        await page.get_by_role("textbox", name=re.compile(f"^{label}")).fill(value)
