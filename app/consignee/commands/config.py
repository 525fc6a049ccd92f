"""consignee config: the effective settings."""

import argparse

from consignee.settings import describe, load_settings


def run(arguments: argparse.Namespace) -> int:
    """Print the settings as TOML, secrets hidden."""
    print(describe(load_settings(arguments.config)), end="")
    return 0
