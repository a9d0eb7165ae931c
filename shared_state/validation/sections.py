"""The sections of the validation by name, in the order of the report."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from shared_state.validation.attempts import attempts
from shared_state.validation.capacity import capacity
from shared_state.validation.chains import chains
from shared_state.validation.correlations import correlations
from shared_state.validation.cutoff import cutoff
from shared_state.validation.detectors import detectors
from shared_state.validation.distillation import distillation
from shared_state.validation.fibre import fibre
from shared_state.validation.findings import Findings
from shared_state.validation.heralding import heralding
from shared_state.validation.memory import memory
from shared_state.validation.nonlocality import nonlocality
from shared_state.validation.operations import operations
from shared_state.validation.pulses import pulses
from shared_state.validation.purification import purification
from shared_state.validation.swapping import swapping

SECTIONS: Final[Mapping[str, Callable[[int], Coroutine[Any, Any, Findings]]]] = {
    "fibre": fibre,
    "memory": memory,
    "attempts": attempts,
    "cutoff": cutoff,
    "operations": operations,
    "correlations": correlations,
    "nonlocality": nonlocality,
    "swapping": swapping,
    "heralding": heralding,
    "purification": purification,
    "distillation": distillation,
    "chains": chains,
    "capacity": capacity,
    "pulses": pulses,
    "detectors": detectors,
}
"""Each takes the seed of all its dice."""
