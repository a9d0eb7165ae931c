"""All that can be said to the quantum world: the closed set of operations, what each takes, who may say it.

Times are emulated seconds, qubits are ids, a run is any short string. A posted operation has no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from shared_state.arguments import (
    alpha_or_none,
    angles,
    basis,
    codes,
    codes_or_none,
    despatches,
    details,
    directions,
    flag,
    indices,
    matrix,
    name,
    node_event,
    qubit,
    qubit_or_none,
    qubits,
    story,
    texts,
    time,
    time_or_none,
    unpack_bits,
    vector,
)
from shared_state.devices import link_devices, tap
from shared_state.errors import BadRequest
from shared_state.wire import Message

Role: TypeAlias = Literal["node", "oracle", "anyone"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One word of the vocabulary. ``takes`` names the arguments and says how each is read."""

    takes: Mapping[str, Callable[[Message], Any]]
    role: Role = "node"
    answered: bool = True

    def read(self, arguments: Sequence[Message]) -> dict[str, Any]:
        """Read the arguments, by name.

        Raises:
            BadRequest: too few, too many, or one that is not what the operation takes.
        """
        if len(arguments) != len(self.takes):
            raise BadRequest(
                f"it takes {', '.join(self.takes) or 'nothing'}; {len(arguments)} arguments were given."
            )
        values = {}
        for (argument, read), value in zip(self.takes.items(), arguments, strict=True):
            try:
                values[argument] = read(value)
            except ValueError as error:
                raise BadRequest(f"the argument {argument!r} must be {error}.") from error
        return values


_AT_RUN: Final = {"at": time, "run": name}
_ON_LINK: Final = {"at": time, "run": name, "link": name}

OPERATIONS: Final[Mapping[str, Operation]] = {
    # qubits in hand
    "qubit": Operation(_AT_RUN),
    "gate": Operation({"at": time, "name": name, "qubits": qubits, "angles": angles}, answered=False),
    "unitary": Operation({"at": time, "matrix": matrix, "qubits": qubits}, answered=False),
    "measure": Operation({"at": time, "qubit": qubit, "basis": basis}),
    "bell_measure": Operation({"at": time, "first": qubit, "second": qubit}),
    "discard": Operation({"at": time, "qubit": qubit}),
    "store": Operation({"at": time, "qubit": qubit}),
    "retrieve": Operation({"at": time, "qubit": qubit}),
    "hand_over": Operation({"at": time, "qubits": qubits}),
    "swap_pairs": Operation({"at": time, "batch": qubit, "other_batch": qubit}),
    "correct_pairs": Operation(
        {"at": time, "batch": qubit, "x": unpack_bits, "z": unpack_bits}, answered=False
    ),
    "measure_pairs": Operation({"at": time, "batch": qubit, "bases": codes}),
    "discard_pairs": Operation({"at": time, "batch": qubit}),
    # links; the other end must do its part
    "pair": Operation({**_ON_LINK, "alpha": alpha_or_none}),
    "pairs": Operation({**_ON_LINK, "count": qubit, "alpha": alpha_or_none}),
    "measure_directly": Operation(
        {**_ON_LINK, "count": qubit, "bases": codes_or_none, "alpha": alpha_or_none, "angles": directions}
    ),
    "transmit": Operation({**_ON_LINK, "qubit": qubit}),
    "receive": Operation(_ON_LINK),
    "emit_pulses": Operation(
        {**_ON_LINK, "bits": unpack_bits, "bases": unpack_bits, "intensities": codes_or_none}
    ),
    "measure_pulses": Operation({**_ON_LINK, "bases": unpack_bits}),
    "emit_train": Operation({**_ON_LINK, "count": qubit}),
    "measure_train": Operation({**_ON_LINK, "count": qubit}),
    "recall": Operation({"run": name, "train": qubit, "indices": indices}),
    "tally": Operation({"run": name, "train": qubit}),
    # the session
    "close_run": Operation({"run": name}),
    "turn": Operation({"until": time_or_none, "despatched": despatches, "waits": texts}),
    "wake": Operation({"time": time}, answered=False),
    "note": Operation({**_AT_RUN, "event": node_event, "details": details}, answered=False),
    "cancel": Operation({"request": qubit, "delivered": qubit_or_none}, answered=False),
    "sync": Operation({}, role="anyone"),
    "mark": Operation({}, role="anyone"),
    "bye": Operation({}, role="anyone"),
    # the view from outside
    "density_matrix": Operation({"qubits": qubits}, role="oracle"),
    "fidelity": Operation({"qubits": qubits, "target": vector}, role="oracle"),
    "pair_fidelities": Operation({"node": name, "batch": qubit}, role="oracle"),
    "discard_handed_over": Operation({"qubits": qubits}, role="oracle"),
    "discard_run": Operation({"run": name}, role="oracle"),
    "discard_others": Operation({"runs": texts}, role="oracle"),
    "tap_report": Operation({"name": name}, role="oracle"),
    "set_tap": Operation({"name": name, "enabled": flag}, role="oracle"),
    "set_link": Operation({"at": time, "name": name, "up": flag}, role="oracle"),
    "change_link": Operation({"at": time, "name": name, "devices": link_devices}, role="oracle"),
    "attach_tap": Operation({"at": time, "name": name, "tap": tap}, role="oracle"),
    "detach_tap": Operation({"at": time, "name": name}, role="oracle"),
    "take_over": Operation({"at": time}, role="oracle"),
    "intervene": Operation({"at": time, "what": name, "arguments": story}, role="oracle"),
    "census": Operation({}, role="oracle"),
    "now": Operation({}, role="anyone"),
    "hold": Operation({}, role="oracle"),
    "release": Operation({}, role="oracle"),
    "halt": Operation({"until": time_or_none, "who": name}, role="oracle"),
    "go_on": Operation({"who": name}, role="oracle"),
    "close_record": Operation({}, role="oracle"),
    "told": Operation({"beyond": qubit}, role="oracle"),
    "events": Operation({"after": qubit}, role="oracle"),
    "loss": Operation({}, role="oracle"),
}


def look_up(word: str, role: Role) -> Operation:
    """Return the operation.

    Raises:
        BadRequest: there is none of this name, or it is not for this role.
    """
    operation = OPERATIONS.get(word)
    if operation is None:
        raise BadRequest(f"there is no operation {word!r}.")
    if operation.role not in (role, "anyone"):
        raise BadRequest(f"the operation {word!r} is for the role {operation.role!r}, and this is {role!r}.")
    return operation
