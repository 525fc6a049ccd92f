"""consignee policy: the smallest policy that lets a destination work."""

import argparse
import json

from consignee.catalog import Catalog
from consignee.commands.fields import print_errors, read_fields
from consignee.errors import InvalidRequest
from consignee.outlets import policy
from consignee.providers import discover
from consignee.settings import load_settings


def run(arguments: argparse.Namespace) -> int:
    """Print the policy as JSON; return 2 if the fields are wrong."""
    catalog = Catalog(discover().values(), policy(load_settings(arguments.config).egress))
    try:
        draft = catalog.parse(read_fields(arguments.file))
    except InvalidRequest as error:
        print_errors(error)
        return 2
    print(json.dumps(catalog.policy(draft), indent=2))
    return 0
