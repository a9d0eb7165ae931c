"""What many independent qubits are described by: Bloch vectors, and codes for their bits and bases."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Bloch: TypeAlias = NDArray[np.float64]
"""Shape (n, 3), columns x, y, z."""
Codes: TypeAlias = NDArray[np.uint8]
"""Shape (n,). Bits are 0 and 1; bases: 0 is Z, 1 is X, 2 is Y. Outcome 0 is the +1 eigenstate."""
