"""The text of a lab file as plain values, each of which can be found again by line and column.

YAML decides the structure only. A scalar stays the text that was written (or None when nothing was), and the
key it belongs to decides what it means: a node may be called ``no``, ``on`` or ``007``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import yaml

from deploy.errors import LabFileInvalid, Problem
from deploy.wording import quoted

Value: TypeAlias = "str | list[Value] | dict[str, Value] | None"
"""What a lab file consists of."""

KeyPath: TypeAlias = "tuple[str | int, ...]"
"""The keys and list positions that lead from the top of the file to a value."""

_Child: TypeAlias = tuple[yaml.Node, yaml.Node]
"""A key and its value; an element of a list is its own key."""

MAX_VALUES: Final = 100_000
"""How many values a file may have once its aliases are written out: thousands of nodes, and no YAML bomb."""

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_PLAIN_TAGS: Final = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed lab file: its ``value``, and the ``blemishes``, problems that leave it readable."""

    file: str
    value: Value
    blemishes: tuple[Problem, ...]
    _root: yaml.Node | None
    _children: Mapping[yaml.Node, Mapping[str | int, _Child]]

    def problem(self, path: KeyPath, message: str, *, of_key: bool = False) -> Problem:
        """Report a problem with the value at ``path``, or with its key.

        The problem of something that does not exist stands at the nearest thing around it.
        """
        chosen = self._root
        for depth, step in enumerate(path, start=1):
            parent = self._children.get(chosen, {}) if chosen else {}
            if step not in parent:
                break
            key, value = parent[step]
            chosen = key if of_key and depth == len(path) else value
        return _problem(self.file, chosen.start_mark if chosen else None, message)


def parse(file: str, text: str) -> Source:
    """Parse one YAML document. Raise ``LabFileInvalid`` when it is none, is too large or contains itself."""
    reading = _Reading(file)
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
        value = None if root is None else reading.value(root)
    except yaml.MarkedYAMLError as error:
        what = ", ".join(filter(None, (error.context, error.problem)))
        message = f"not YAML: {what}; check the indentation, quotes, brackets and colons here"
        raise LabFileInvalid([_problem(file, error.problem_mark, message)]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, int(error.position)) + 1
        raise LabFileInvalid([Problem(file, line, 1, "a character that YAML forbids; remove it")]) from error
    except (ValueError, OverflowError) as error:
        raise LabFileInvalid([Problem(file, 1, 1, "an escape that is no character; remove it")]) from error
    except RecursionError:
        raise LabFileInvalid([Problem(file, 1, 1, "nested too deeply; six levels are enough")]) from None
    return Source(file, value, tuple(reading.blemishes), root, reading.children)


def _problem(file: str, mark: yaml.Mark | None, message: str) -> Problem:
    return Problem(file, mark.line + 1, mark.column + 1, message) if mark else Problem(file, 1, 1, message)


class _Reading:
    """One walk over a document that turns nodes into values, each node once however many aliases it has."""

    def __init__(self, file: str) -> None:
        self.blemishes: list[Problem] = []
        self.children: dict[yaml.Node, dict[str | int, _Child]] = {}
        self._file = file
        self._values: dict[yaml.Node, Value] = {}
        self._sizes: dict[yaml.Node, int] = {}

    def value(self, node: yaml.Node) -> Value:
        """Return the value of ``node``, of limited size with all aliases in it written out."""
        if node not in self._sizes:
            # An alias to a node that is still being read stands for something without end.
            self._values[node], self._sizes[node] = None, MAX_VALUES
            self._values[node] = self._convert(node)
            children = self.children.get(node, {}).values()
            self._sizes[node] = 1 + sum(self._sizes[child] for _, child in children)
            if self._sizes[node] > MAX_VALUES:
                message = f"more than {MAX_VALUES} values with all aliases written out; make a smaller lab"
                raise LabFileInvalid([_problem(self._file, node.start_mark, message)])
        return self._values[node]

    def _convert(self, node: yaml.Node) -> Value:
        if node.tag not in _PLAIN_TAGS:
            self._blemish(node, f"the tag {quoted(node.tag)} has no meaning here; remove it")
        match node:
            case yaml.MappingNode():
                return self._mapping(node)
            case yaml.SequenceNode():
                self.children[node] = {index: (child, child) for index, child in enumerate(node.value)}
                return [self.value(child) for child in node.value]
            case yaml.ScalarNode(value=str(written)) if node.style is not None or written not in _NULL:
                return written
        return None

    def _mapping(self, node: yaml.MappingNode) -> Value:
        known = self.children.setdefault(node, {})
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._blemish(key, "a key that is not text; write one word")
            elif key.value == "<<":
                self._blemish(key, "merge keys have no meaning here; put what nodes share under kinds")
            elif key.value in known:
                first = known[key.value][0].start_mark.line + 1
                self._blemish(
                    key, f"{quoted(key.value)} is here twice, first in line {first}; rename or remove one"
                )
            else:
                known[key.value] = key, child
        return {str(name): self.value(child) for name, (_, child) in known.items()}

    def _blemish(self, node: yaml.Node, message: str) -> None:
        self.blemishes.append(_problem(self._file, node.start_mark, message))
