"""consignee completion: a script that lets a shell complete the command, made from its options."""

import argparse

from consignee import cli
from consignee.commands.completions import SHELLS, places


def run(arguments: argparse.Namespace) -> int:
    """Print the script for the shell."""
    print(SHELLS[arguments.shell](places(cli.parser())), end="")
    return 0
