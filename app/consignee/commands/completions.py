"""Scripts for shells, from a tree of parsers: what may come next at each place, which is the words of the command so far."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote
from typing import Final


@dataclass(frozen=True)
class Option:
    """An option: what comes behind it is one of `choices`, if there are any, a file, if it is one, or nothing, or anything."""

    names: Sequence[str]
    help: str
    value: bool = False
    file: bool = False
    choices: Sequence[str] = ()


@dataclass(frozen=True)
class Place:
    """What may follow the words of `path`: one of `words`, with what it means, an option, or a file."""

    path: str
    words: Mapping[str, str] = field(default_factory=dict)
    options: Sequence[Option] = ()
    files: bool = False


def places(parser: argparse.ArgumentParser, path: str = "") -> list[Place]:
    """Return every place of the tree, the outer ones first."""
    words: dict[str, str] = {}
    options: list[Option] = []
    files, nested = False, list[Place]()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            words |= {each.dest: each.help or "" for each in action._choices_actions}
            for name, child in action.choices.items():
                nested += places(child, f"{path} {name}".strip())
        elif action.option_strings:
            options.append(_option(action))
        else:
            words |= dict.fromkeys(map(str, action.choices or ()), "")
            files = files or _is_file(action)
    return [Place(path, words, options, files), *nested]


def _option(action: argparse.Action) -> Option:
    value = action.nargs != 0
    choices = tuple(map(str, action.choices or ()))
    return Option(tuple(action.option_strings), action.help or "", value, _is_file(action), choices)


def _is_file(action: argparse.Action) -> bool:
    return str(action.metavar) in ("FILE", "FILE.json", "DIRECTORY") and action.dest != "names"


def _names(place: Place) -> list[str]:
    return [name for option in place.options for name in option.names]


def _lines(*parts: str | Iterator[str]) -> str:
    return "".join(f"{line}\n" for part in parts for line in ([part] if isinstance(part, str) else part))


def _key(*words: str) -> str:
    """As a pattern of `case`."""
    return "|".join(quote(word) for word in words)


def _step(place: Place) -> str:
    """Return the place before, a space, and the word that leads on from there, quoted; the outermost place is empty."""
    return quote(place.path if " " in place.path else f" {place.path}")


def _entered(every: Sequence[Place]) -> Iterator[str]:
    return (f"            {_step(one)}) place={quote(one.path)} ;;" for one in every if one.path)


def bash(every: Sequence[Place]) -> str:
    """Return the script for bash."""
    return _lines(
        "# bash completion of consignee",
        "_consignee() {",
        "    local current=${COMP_WORDS[COMP_CWORD]} place= words= options= file=0 i",
        "    COMPREPLY=()",
        "    for ((i = 1; i < COMP_CWORD; i++)); do",
        '        case "$place ${COMP_WORDS[i]}" in',
        _entered(every),
        "        esac",
        "    done",
        '    case "$place:${COMP_WORDS[COMP_CWORD-1]}" in',
        _behind(every),
        "        *)",
        '            case "$place" in',
        (
            f"                {_key(one.path)}) words={quote(' '.join(one.words))}"
            f" options={quote(' '.join(_names(one)))} file={int(one.files)} ;;"
            for one in every
        ),
        "            esac ;;",
        "    esac",
        "    if [[ $current == -* || (-z $words && $file == 0) ]]; then words=$options; fi",
        '    COMPREPLY=($(compgen -W "$words" -- "$current"))',
        "    if ((file)) && [[ $current != -* ]]; then",
        "        compopt -o filenames 2>/dev/null",
        "        local IFS=$'\\n'",
        '        COMPREPLY+=($(compgen -f -- "$current"))',
        "    fi",
        "}",
        "complete -F _consignee consignee",
    )


def _behind(every: Sequence[Place]) -> Iterator[str]:
    """What follows an option that wants a value; where that may be anything, nothing is offered."""
    for keys, option in _valued(every):
        yield f"        {keys}) words={quote(' '.join(option.choices))} file={int(option.file)} ;;"


def _valued(every: Sequence[Place]) -> Iterator[tuple[str, Option]]:
    """Yield the options that want a value, each with how a `case` tells that the cursor is behind it."""
    for place in every:
        for option in place.options:
            if option.value:
                yield _key(*(f"{place.path}:{name}" for name in option.names)), option


def zsh(every: Sequence[Place]) -> str:
    """Return the script for zsh."""
    return _lines(
        "#compdef consignee",
        "_consignee() {",
        "    local place= i",
        "    local -a options offered",
        "    for ((i = 2; i < CURRENT; i++)); do",
        '        case "$place ${words[i]}" in',
        _entered(every),
        "        esac",
        "    done",
        '    case "$place:${words[CURRENT-1]}" in',
        _values(every),
        "    esac",
        '    case "$place" in',
        _described(every),
        "    esac",
        "}",
        'if [[ $funcstack[1] == _consignee ]]; then _consignee "$@"; else compdef _consignee consignee; fi',
    )


def _values(every: Sequence[Place]) -> Iterator[str]:
    for keys, option in _valued(every):
        chosen = f"compadd -- {' '.join(map(quote, option.choices))}" if option.choices else ":"
        yield f"        {keys}) {'_files' if option.file else chosen}; return ;;"


def _described(every: Sequence[Place]) -> Iterator[str]:
    for place in every:
        options = {name: option.help for option in place.options for name in option.names}
        yield f"        {_key(place.path)})"
        yield f"            options=({_array(options)})"
        yield f"            offered=({_array(place.words or ({} if place.files else options))})"
        files = " || _files" if place.files else ""
        yield f"            if [[ $PREFIX == -* ]]; then _describe option options; else _describe word offered{files}; fi ;;"


def _array(told: Mapping[str, str]) -> str:
    return " ".join(quote(f"{word}:{text}" if text else word) for word, text in told.items())


def fish(every: Sequence[Place]) -> str:
    """Return the script for fish."""
    return _lines(
        "# fish completion of consignee",
        "function __consignee_place",
        "    set -l place ''",
        "    for word in (commandline -opc)[2..-1]",
        '        switch "$place $word"',
        (f"            case {_step(one)}\n                set place {quote(one.path)}" for one in every if one.path),
        "        end",
        "    end",
        '    test "$place" = "$argv[1]"',
        "end",
        "complete -c consignee -f",
        (line for place in every for line in _completions(place)),
    )


def _completions(place: Place) -> Iterator[str]:
    here = f"complete -c consignee -n {quote(f'__consignee_place {quote(place.path)}')}"
    for word, text in place.words.items():
        yield f"{here} -a {quote(word)} -d {quote(text)}"
    for option in place.options:
        names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
        yield f"{here} {names}{_wanted(option)} -d {quote(option.help)}"
    if place.files:
        yield f"{here} -F"


def _wanted(option: Option) -> str:
    if option.choices:
        return f" -x -a {quote(' '.join(option.choices))}"
    return " -r -F" if option.file else " -x" if option.value else ""


SHELLS: Final[Mapping[str, Callable[[Sequence[Place]], str]]] = {"bash": bash, "zsh": zsh, "fish": fish}
