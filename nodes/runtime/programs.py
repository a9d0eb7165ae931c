"""Programs: a Python file with one coroutine per role, found by name or path, and read for what its roles ask for.

Every public coroutine function that the file defines, or imports and names in ``__all__``, is a role, except
``referee``. One that yields plays all rounds in one go: what it yields is what it returns of the next round. One
that is ``@several`` can be played by several nodes, as ``leaf1``, ``leaf2`` and so on. A role's parameters say what
it needs, by annotation:

=============================================  ===========================================================
``bob: Peer``                                  the party that plays role ``bob``
``leaf: Peers``                                all that play the role ``leaf``, by role
``bob_link: QuantumLink``                      the fibre to the party that plays ``bob``
``bob_secret: SharedSecret``                   the secret shared with that party, a neighbour
``... | None``                                 of these two: None where no link connects the two nodes
``bob_keys: SharedKeys``                       the keys in store with that party
``half: Annotated[Qubit, HalfWith("bob")]``    a fresh half of a pair with ``bob``, swapped along the path
``psi: Annotated[Qubit, Unknown()]``           a qubit in a random state that only the referee knows
``memory: Memory``, ``clock``, ``coin``        this node's memories, its ``Clock`` and its ``Coin``
``identity: Identity``                         this node's signing key and its neighbours' public keys
``network: Network``                           pairs on demand with any role (``nodes.requests``)
``rounds: Rounds``                             how many rounds are to be played
``shots: int = 100``                           a parameter of the program (int, float, str or bool)
=============================================  ===========================================================

``async def referee(oracle: Referee, psi, bob)`` is optional: it sees what the roles returned, under their names, and
the states of ``Unknown`` qubits, and returns the figures of one round. ``def summarise(rounds)`` turns the figures of
all rounds into results; without it every figure gets its mean and standard error.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import tokenize
import typing
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from nodes.errors import ProgramInvalid
from nodes.identity import Identity
from nodes.ports import (
    Clock,
    Coin,
    Correspondent,
    HalfWith,
    Memory,
    Peer,
    Peers,
    QuantumLink,
    Qubit,
    Rounds,
    SharedSecret,
    Unknown,
)
from nodes.requests import Network
from nodes.shared_keys import SharedKeys

PROGRAMS: Mapping[str, str] = {
    "teleport": "nodes.apps.teleport",
    "swap": "nodes.network.swap",
    "purify": "nodes.network.purify",
    "superdense": "nodes.apps.superdense",
    "ghz": "nodes.apps.ghz",
    "entangle": "nodes.apps.entangle",
    "chsh": "nodes.apps.chsh",
    "witness": "nodes.apps.witness",
    "tomography": "nodes.apps.tomography",
    "qkd": "nodes.apps.key_distribution",
    "network-qkd": "nodes.apps.network_key",
    "keys": "nodes.apps.key_link",
    "relay": "nodes.apps.trusted_relay",
    "tunnel": "nodes.apps.tunnel",
    "send": "nodes.apps.secure_file",
}
"""The programs that Bellwire brings, by name."""

Scalar = int | float | str | bool


@dataclass(frozen=True, slots=True)
class Need:
    """One argument of a role: what kind of thing, and the role at its other end where it has one.

    One that is ``optional`` is None where the lab has no such thing.
    """

    name: str
    kind: typing.Literal[
        "peer",
        "peers",
        "link",
        "secret",
        "keys",
        "half",
        "unknown",
        "memory",
        "clock",
        "coin",
        "network",
        "identity",
        "rounds",
        "parameter",
    ]
    role: str = ""
    type: type = object
    default: Scalar | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Role:
    """One party's part of a program."""

    name: str
    function: Callable[..., Any]
    needs: tuple[Need, ...]

    @property
    def yields(self) -> bool:
        """Tell whether it plays all rounds in one go, and yields what it would return of each."""
        return inspect.isasyncgenfunction(self.function)

    @property
    def several(self) -> bool:
        """Tell whether several nodes can play it, under its name with a number."""
        return bool(getattr(self.function, "several", False))

    def parameters(self) -> dict[str, Need]:
        """Return the program parameters that this role takes."""
        return {need.name: need for need in self.needs if need.kind == "parameter"}

    def halves(self) -> Counter[str]:
        """Count the halves of pairs that one round takes, by the role at the other end."""
        return Counter(need.role for need in self.needs if need.kind == "half")


@dataclass(frozen=True, slots=True)
class Program:
    """A loaded program: its roles by name, and its optional referee and summary."""

    name: str
    roles: dict[str, Role]
    referee: Callable[..., Awaitable[Mapping[str, float]]] | None
    summarise: Callable[[list[dict[str, float]]], Mapping[str, float]] | None

    def cast(self, names: Collection[str]) -> Program:
        """Return the program with one role for each of the ``names`` of a role that several nodes play: leaf1, leaf2.

        Raise ``ProgramInvalid`` when nobody plays it.
        """
        roles: dict[str, Role] = {}
        for name, role in self.roles.items():
            if not role.several:
                roles[name] = role
                continue
            played = sorted(
                (each for each in names if numbered(each, name)), key=lambda each: (len(each), each)
            )
            if not played:
                raise ProgramInvalid(
                    f"{self.name}: say who plays {name}1, {name}2 and so on: --role {name}1=NODE"
                )
            roles |= {each: replace(role, name=each) for each in played}
        return replace(self, roles=roles)

    @property
    def asks_network(self) -> bool:
        """Tell whether a role asks the network for pairs, so that every node of the lab may have to take part."""
        return any(need.kind == "network" for role in self.roles.values() for need in role.needs)


def load(reference: str, source: str = "") -> Program:
    """Load a program by name or by the path of its file; raise ``ProgramInvalid`` with the reason.

    ``source``: what ``source_of`` has read of the file elsewhere, in whose place it is then taken.
    """
    if reference.endswith(".py"):
        module = _execute(Path(reference), source or source_of(reference))
    else:
        module = _import_named(reference)
    exported = getattr(module, "__all__", ())
    roles = {
        name: Role(name, function, _needs(name, function))
        for name, function in vars(module).items()
        if (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function))
        and (function.__module__ == module.__name__ or name in exported)
        and not name.startswith("_")
        and name != "referee"
    }
    if not roles:
        raise ProgramInvalid(
            f"{reference} defines no role: write one 'async def' per role, such as 'async def alice(...)'"
        )
    _check_partners(
        reference, roles, [name for name, value in vars(module).items() if inspect.isfunction(value)]
    )
    return Program(
        name=Path(reference).stem,
        roles=roles,
        referee=getattr(module, "referee", None),
        summarise=getattr(module, "summarise", None),
    )


def numbered(name: str, role: str) -> bool:
    """Tell whether a name is that of a role with a number behind: leaf1 for leaf."""
    return name.startswith(role) and name[len(role) :].isdigit()


def parse_parameters(program: Program, given: Mapping[str, str]) -> dict[str, Scalar]:
    """Convert parameters from their text to the types that the roles annotate."""
    known = {name: need for role in program.roles.values() for name, need in role.parameters().items()}
    return {name: _convert(program, known, name, text) for name, text in given.items()}


def _import_named(name: str) -> ModuleType:
    if name not in PROGRAMS:
        raise ProgramInvalid(f"there is no program '{name}'; there are: {', '.join(PROGRAMS)}")
    return importlib.import_module(PROGRAMS[name])


def source_of(reference: str) -> str:
    """Return the text of a program's file, empty for a program by name: it goes to nodes that cannot read the file.

    Raise ``ProgramInvalid`` when there is no such file, or it is no text.
    """
    if not reference.endswith(".py"):
        return ""
    path = Path(reference)
    if not path.is_file():
        raise ProgramInvalid(f"there is no program file {path}")
    try:
        with tokenize.open(path) as file:
            return file.read()
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise ProgramInvalid(f"{path} is not a Python file: {error}") from error


def _execute(path: Path, source: str) -> ModuleType:
    module = ModuleType(f"bellwire_program_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look their module up while they are made
    try:
        exec(compile(source, str(path), "exec", dont_inherit=True), vars(module))
    except (Exception, SystemExit) as error:
        raise ProgramInvalid(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _needs(role: str, function: Callable[..., object]) -> tuple[Need, ...]:
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise ProgramInvalid(f"role '{role}': an annotation cannot be read: {error}") from error
    return tuple(
        _need(role, parameter, hints) for parameter in inspect.signature(function).parameters.values()
    )


def _need(role: str, parameter: inspect.Parameter, hints: Mapping[str, Any]) -> Need:
    name, hint = parameter.name, hints.get(parameter.name)
    optional = hint in (QuantumLink | None, SharedSecret | None)
    if optional:
        hint = typing.get_args(hint)[0]
    for mark in getattr(hint, "__metadata__", ()):
        if isinstance(mark, HalfWith):
            return Need(name, "half", role=mark.role)
        if isinstance(mark, Unknown):
            return Need(name, "unknown")
    if hint in (Peer, Correspondent):
        return Need(name, "peer", role=name)
    if hint == Peers:
        return Need(name, "peers", role=name)
    if hint is QuantumLink and name.endswith("_link"):
        return Need(name, "link", role=name.removesuffix("_link"), optional=optional)
    if hint is SharedKeys and name.endswith("_keys"):
        return Need(name, "keys", role=name.removesuffix("_keys"))
    if hint is SharedSecret and name.endswith("_secret"):
        return Need(name, "secret", role=name.removesuffix("_secret"), optional=optional)
    if hint in (Memory, Clock, Coin, Network, Identity, Rounds):
        return Need(name, hint.__name__.lower())
    if hint in (int, float, str, bool) and parameter.default is not parameter.empty:
        return Need(name, "parameter", type=hint, default=parameter.default)
    raise ProgramInvalid(
        f"role '{role}': cannot tell what '{name}' is to be; {_advice(name, hint)}; "
        f"if '{role}' is no role, call it _{role}"
    )


def _advice(name: str, hint: object) -> str:
    if hint is Qubit:
        return (
            f"say which qubit: '{name}: Annotated[Qubit, HalfWith(\"bob\")]' or Annotated[Qubit, Unknown()]"
        )
    if hint is QuantumLink:
        return f"name it after the role at the other end, such as 'bob_link', not '{name}'"
    if hint in (SharedSecret, SharedKeys):
        suffix = "secret" if hint is SharedSecret else "keys"
        return f"name it after the role at the other end, such as 'bob_{suffix}', not '{name}'"
    if hint in (int, float, str, bool):
        return f"a parameter needs a default, such as '{name}: {getattr(hint, '__name__', hint)} = 1'"
    return (
        "annotate it with Peer, QuantumLink, SharedSecret, SharedKeys, Network, Memory, Clock, Coin, a Qubit, "
        "or a number with a default"
    )


def _check_partners(reference: str, roles: Mapping[str, Role], functions: Collection[str]) -> None:
    for role in roles.values():
        for need in role.needs:
            if need.role and need.role not in roles:
                plain = (
                    f"write 'async def {need.role}'"
                    if need.role in functions
                    else f"there are: {', '.join(roles)}"
                )
                raise ProgramInvalid(
                    f"{reference}: role '{role.name}' asks for '{need.name}', "
                    f"but there is no role '{need.role}'; {plain}"
                )
        for other, count in role.halves().items():
            theirs = roles[other].halves()[role.name]
            if theirs != count:
                raise ProgramInvalid(
                    f"{reference}: role '{role.name}' takes {count} halves of pairs with '{other}', "
                    f"but '{other}' takes {theirs} with '{role.name}'"
                )


def _convert(program: Program, known: Mapping[str, Need], name: str, text: str) -> Scalar:
    need = known.get(name)
    if need is None:
        there = f"it takes: {', '.join(known)}" if known else "it takes none"
        raise ProgramInvalid(f"program '{program.name}' has no parameter '{name}'; {there}")
    if need.type is bool:
        truth = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
            text.lower()
        )
        if truth is None:
            raise ProgramInvalid(f"parameter '{name}' is true or false, not '{text}'")
        return truth
    try:
        converted: Scalar = need.type(text)
    except ValueError as error:
        raise ProgramInvalid(f"parameter '{name}' is of type {need.type.__name__}, not '{text}'") from error
    return converted
