"""The sections of the validation that need more than the quantum world: keys, beside papers and beside Nature."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from nodes.validation.key_rates import key_rates
from nodes.validation.published_rates import published_rates
from shared_state.validation.findings import Findings

KEY_SECTIONS: Final[Mapping[str, Callable[[int], Coroutine[Any, Any, Findings]]]] = {
    "published-rates": published_rates,
    "key-rates": key_rates,
}
"""Each takes the seed of all its dice."""
