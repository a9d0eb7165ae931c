"""The referee's bench: brings what the roles returned in one round together, has it judged, and adds the rounds up."""

from __future__ import annotations

import asyncio
import inspect
import typing
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodes.errors import NodeError, ProgramInvalid
from nodes.estimation.estimates import mean_and_error
from nodes.ports import Qubit
from nodes.ports import Referee as RefereePort
from nodes.runtime.causes import story
from nodes.runtime.programs import Program, numbered
from nodes.runtime.returns import JudgedQubit, as_annotated, qubits_in, unpack
from shared_state.errors import SharedStateError
from shared_state.oracle import OracleClient


class OracleReferee:
    """A ``nodes.ports.Referee`` over the oracle's connection to the shared-state server."""

    def __init__(self, oracle: OracleClient) -> None:
        self._oracle = oracle

    async def fidelity(self, qubits: Sequence[Qubit], target: NDArray[np.complex128]) -> float:
        """Return <target| rho |target> for the qubits' joint state."""
        return await self._oracle.fidelity(_identifiers(qubits), target)

    async def density_matrix(self, qubits: Sequence[Qubit]) -> NDArray[np.complex128]:
        """Return the qubits' reduced density matrix."""
        return await self._oracle.density_matrix(_identifiers(qubits))


class Judge:
    """Judges the rounds of one run as they come in, in order; ``file`` is where the program comes from."""

    def __init__(self, program: Program, file: str, oracle: OracleClient) -> None:
        self._program = program
        self._file = file
        self._oracle = oracle
        self._waiting: defaultdict[str, asyncio.Queue[str]] = defaultdict(asyncio.Queue)
        self._judged: list[dict[str, float]] = []
        self.returned: list[dict[str, Any]] = []

    def take(self, role: str, returned: str) -> None:
        """Take what a role returned in its next round."""
        self._waiting[role].put_nowait(returned)

    async def judge(self, rounds: int, progress: Callable[[int], None]) -> None:
        """Judge ``rounds`` rounds; the qubits of each are discarded afterwards.

        Raise ``ProgramInvalid`` for a referee that fails.
        """
        for number in range(rounds):
            with self._blaming():
                await self._judge_next()
            progress(number + 1)

    async def _judge_next(self) -> None:
        values: dict[str, Any] = {}
        states: dict[str, NDArray[np.complex128]] = {}
        for role in self._program.roles:
            values[role], unknown = unpack(await self._waiting[role].get())
            states |= unknown
        try:
            if self._program.referee is not None:
                self._judged.append(await self._verdict(values | states))
        finally:
            await self._discard(values)
        self.returned.append({role: _printable(value) for role, value in values.items()})

    def figures(self) -> dict[str, float | None]:
        """Return the program's own summary, or the mean and the standard error of every figure.

        Raise ``ProgramInvalid`` for a summary that fails.
        """
        with self._blaming():
            if self._program.summarise is not None and self._judged:
                return dict(self._program.summarise(self._judged))
            summary: dict[str, float | None] = {}
            for name in self._judged[0] if self._judged else ():
                samples = [figures[name] for figures in self._judged]
                summary[f"{name}_mean"], summary[f"{name}_stderr"] = mean_and_error(samples)
            return summary

    @contextmanager
    def _blaming(self) -> Iterator[None]:
        """Tell of an error in a program's referee or summary as what it is."""
        try:
            yield
        except (NodeError, SharedStateError):
            raise
        except Exception as error:
            raise ProgramInvalid(f"the program's referee failed: {story(error, self._file)}") from error

    async def _verdict(self, known: dict[str, Any]) -> dict[str, float]:
        referee = self._program.referee
        assert referee is not None
        arguments: dict[str, object] = {}
        hints = typing.get_type_hints(referee)
        for name in inspect.signature(referee).parameters:
            hint = hints.get(name)
            if hint is RefereePort:
                arguments[name] = OracleReferee(self._oracle)
            elif name in known:
                arguments[name] = as_annotated(known[name], hint)
            elif several := {role: known[role] for role in known if numbered(role, name)}:
                arguments[name] = several
            else:
                raise ProgramInvalid(f"the referee asks for '{name}'; there are: {', '.join(known)}")
        return {name: float(figure) for name, figure in (await referee(**arguments)).items()}

    async def _discard(self, values: dict[str, Any]) -> None:
        identifiers = [qubit.identifier for qubit in qubits_in(values)]
        if identifiers:
            await self._oracle.discard(identifiers)


def _identifiers(qubits: Sequence[object]) -> list[int]:
    if not all(isinstance(qubit, JudgedQubit) for qubit in qubits):
        raise ProgramInvalid("the referee can look at qubits that a role returned, at nothing else")
    return [qubit.identifier for qubit in qubits if isinstance(qubit, JudgedQubit)]


def _printable(value: Any) -> Any:
    match value:
        case JudgedQubit():
            return None
        case bytes():
            return value.hex()
        case dict():
            return {key: _printable(element) for key, element in value.items()}
        case list():
            return [_printable(element) for element in value]
    return value
