"""Completion in real shells."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from samples.serving import environment

WORDS = {
    "consignee de": {"deliver", "deliveries", "destinations", "demo"},
    "consignee destinations en": {"enable"},
    "consignee destinations --config x dis": {"disable"},
    "consignee deliveries list --sta": {"--status"},
    "consignee deliveries list --status f": {"failed"},
    "consignee destinations list --enabled ": {"true", "false"},
    "consignee completion ": {"bash", "zsh", "fish"},
    "consignee keys revoke --j": {"--json"},
    "consignee check --config conf": {"config one.toml"},
    "consignee check fie": {"fields.json"},
    "consignee destinations show nothing-that-is-known-here": set(),
}
"""What is offered for a line that ends there."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with two files."""
    for name in ("config one.toml", "fields.json"):
        (tmp_path / name).touch()
    return tmp_path


def script(shell: str) -> str:
    """Return what the command prints for a shell."""
    command = [sys.executable, "-m", "consignee", "completion", shell]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment(), timeout=60).stdout


def needs(shell: str) -> None:
    """Skip where there is no such shell; bash is everywhere."""
    if shell != "bash" and shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")


def said(command: list[str], program: str, directory: Path) -> str:
    """Run a program in a shell, which must not complain; return what it prints."""
    done = subprocess.run(
        command,
        input=program,
        capture_output=True,
        text=True,
        cwd=directory,
        timeout=60,
        env=environment(),
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


BASH = """
offered() {
    COMP_LINE=$1 COMP_POINT=${#1}
    read -ra COMP_WORDS <<< "$1"
    [[ $1 == *' ' ]] && COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _consignee
    printf '%s\\n' "${COMPREPLY[@]}"
}
"""


@pytest.mark.parametrize("line", WORDS)
def test_bash_completes(directory: Path, line: str) -> None:
    needs("bash")
    program = f"{script('bash')}{BASH}offered {json.dumps(line)}\n"
    offered = said(["bash", "--norc", "--noprofile"], program, directory)
    assert {word for word in offered.splitlines() if word} == WORDS[line]


@pytest.mark.parametrize("line", WORDS)
def test_fish_completes(directory: Path, line: str) -> None:
    needs("fish")
    program = f"{script('fish')}complete -C {json.dumps(line)}\n"
    offered = said(["fish", "--no-config"], program, directory)
    assert {word.partition("\t")[0] for word in offered.splitlines()} == WORDS[line]


ZSH = """
PS1= RPS1=
autoload -Uz compinit && compinit -u -D
consignee() { print -r -- "RAN:$*:" }
source ./_consignee
"""
ALONE = {line: words for line, words in WORDS.items() if len(words) == 1}


def typed(directory: Path, text: str) -> str:
    """Type a text into zsh at a terminal; return what it wrote up to its end."""
    command = [shutil.which("zsh") or "", "-f", "-i"]
    master, slave = pty.openpty()
    with subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, cwd=directory, env=environment()
    ) as process:
        os.close(slave)
        os.write(master, text.encode())
        read = b""
        try:
            while chunk := os.read(master, 65536):
                read += chunk
        except OSError:  # the other end was closed
            pass
        finally:
            os.close(master)
        process.wait(60)
    return read.decode(errors="replace")


@pytest.mark.parametrize("line", ALONE)
def test_zsh_completes(directory: Path, line: str) -> None:
    """At a terminal, since nowhere else it does: what is typed is completed by Tab, then run."""
    needs("zsh")
    (directory / "_consignee").write_text(script("zsh"))
    (directory / "begin").write_text(ZSH)
    (word,) = ALONE[line]
    seen = typed(directory, f"source ./begin\n{line}\t\nexit\n")
    whole = f"{line.rpartition(' ')[0]} {word}".removeprefix("consignee ")
    assert [ran.strip() for ran in re.findall(r"RAN:(.*?):\r?\n", seen)] == [whole], seen


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_can_be_read_by_its_shell(shell: str) -> None:
    needs(shell)
    program = script(shell)
    assert subprocess.run([shell, "-n"], input=program, text=True, check=True, capture_output=True).stderr == ""


def test_nothing_is_printed_for_a_shell_that_is_not_known() -> None:
    command = [sys.executable, "-m", "consignee", "completion", "cmd"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment(), timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert "fish" in done.stderr
