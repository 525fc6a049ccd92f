"""consignee policy: the smallest policy that lets a destination work."""

import argparse
import json

from consignee.catalog import Catalog
from consignee.commands.fields import read_unnamed
from consignee.commands.output import say
from consignee.outlets import policy
from consignee.providers import discover
from consignee.settings import load_settings


def run(arguments: argparse.Namespace) -> int:
    """Print the policy as JSON; raises InvalidRequest if the fields are wrong."""
    catalog = Catalog(discover().values(), policy(load_settings(arguments.config).egress))
    smallest = catalog.policy(catalog.parse(read_unnamed(arguments.file)))
    say(arguments, {"policy": smallest}, json.dumps(smallest, indent=2).splitlines())
    return 0
