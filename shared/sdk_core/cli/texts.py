"""Help texts from docstrings: what is said to a programmer, said to who types commands."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from attrs import evolve, field, frozen

__all__ = ["Described", "describe"]

_SECTION: Final = re.compile(r"^(?:Args|Raises|Returns|Yields|Source)\b[^:\n]*:", re.MULTILINE)
_ARGUMENT: Final = re.compile(r"    (\w+): ?(.*)")
_CODE: Final = re.compile(r"`([^`]*)`")
_ROLES: Final = re.compile(r"\broles? `\w+`(?: and `\w+`)*")
"""Words, even if an argument has the same name."""
_SEE: Final = re.compile(r"; see `\w+`\.$")
_TURNS: Final = (
    (re.compile(r"\bNone(?=:| for\b| if\b)"), "left out"),
    (re.compile(r"; (?:arguments and errors as of|see) `\w+`(?=\.$)"), ""),
    (re.compile(r"\bNone\b"), "nothing"),
    (re.compile(r"^Return "), "Show "),
    (re.compile(r"\breturn when\b"), "wait until"),
    (re.compile(r"\breturn (?=what\b|it\b)"), "show "),
)
"""What a function does for its caller, and a command for who reads."""


@frozen
class Described:
    """What a docstring says of a function."""

    summary: str
    body: tuple[str, ...]
    """Its paragraphs."""
    arguments: Mapping[str, str]
    names: tuple[str, ...]
    """Other functions that it names: what it does not say of an argument, they do."""
    _parameters: frozenset[str] = field(repr=False)
    _known: frozenset[str] = field(repr=False)

    def spoken(self, text: str) -> str:
        """Return a text with the names that it has on the command line."""

        def name(found: re.Match[str]) -> str:
            code = found[1]
            if code in self._known:
                return code.replace("_", "-")
            if code.partition("=")[0] in self._parameters:
                return "--" + code.partition("=")[0].replace("_", "-")
            return code

        for pattern, turned in _TURNS:
            text = pattern.sub(turned, text)
        return _CODE.sub(name, _ROLES.sub(lambda found: found[0].replace("`", ""), text))


def describe(functions: Iterable[Callable[..., Any]]) -> dict[str, Described]:
    """Return what functions' docstrings say, by the functions' names.

    What one does not say of its arguments is taken from those that it names, then from any other.
    """
    given = list(functions)
    known = frozenset(function.__name__ for function in given)
    found = {function.__name__: _read(function, known) for function in given}
    anywhere: dict[str, str] = {}
    for described in found.values():
        anywhere = {**described.arguments, **anywhere}
    complete: dict[str, Described] = {}
    for name, described in found.items():
        arguments = dict(anywhere)
        for other in (*reversed(_reached(name, found)), name):
            arguments |= {
                argument: text
                for argument, text in found[other].arguments.items()
                # "Seconds; see `cancel_contract`" is said better there.
                if not (_SEE.search(text) and argument in arguments)
            }
        complete[name] = evolve(described, arguments=arguments)
    return complete


def _reached(name: str, found: Mapping[str, Described]) -> list[str]:
    """Return the functions that one names, and those that they name, the nearest first."""
    reached: list[str] = []
    pending = [*found[name].names]
    while pending:
        other = pending.pop(0)
        if other != name and other not in reached:
            reached.append(other)
            pending += found[other].names
    return reached


def _read(function: Callable[..., Any], known: frozenset[str]) -> Described:
    text = inspect.getdoc(function) or ""
    starts = [0, *(found.start() for found in _SECTION.finditer(text))]
    head, *sections = (text[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True))
    described_arguments = "\n".join(section for section in sections if section.startswith("Args"))
    summary, *body = (" ".join(paragraph.split()) for paragraph in head.strip().split("\n\n"))
    names = [code.rpartition(".")[2] for code in _CODE.findall(head + described_arguments)]
    return Described(
        summary,
        tuple(body),
        dict(_arguments(described_arguments)),
        tuple(dict.fromkeys(name for name in names if name in known and name != function.__name__)),
        frozenset(inspect.signature(function).parameters),
        known,
    )


def _arguments(section: str) -> Iterator[tuple[str, str]]:
    name, lines = "", list[str]()
    for line in section.splitlines()[1:]:
        found = _ARGUMENT.fullmatch(line)
        if found is None:
            lines.append(line.strip())
            continue
        if name:
            yield name, " ".join(lines).strip()
        name, lines = found[1], [found[2]]
    if name:
        yield name, " ".join(lines).strip()
