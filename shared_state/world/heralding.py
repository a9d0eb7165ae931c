"""From a link's source to its scheme."""

from __future__ import annotations

from collections.abc import Sequence

from shared_state.config import (
    DoubleClickSource,
    FibreConfig,
    PhotonPairSource,
    SingleClickSource,
    SourceConfig,
    TapConfig,
    WernerSource,
)
from shared_state.world.schemes.double_click import double_click
from shared_state.world.schemes.pair_source import pair_source
from shared_state.world.schemes.scheme import Scheme
from shared_state.world.schemes.single_click import single_click
from shared_state.world.schemes.werner import werner


def scheme_of(source: SourceConfig, fibre: FibreConfig, taps: Sequence[TapConfig] = ()) -> Scheme:
    """Return what the source amounts to on the fibre with taps. Raises ValueError where no pair can ever be made."""
    match source:
        case WernerSource():
            return werner(source, taps)
        case SingleClickSource():
            return single_click(source, fibre, taps)
        case DoubleClickSource():
            return double_click(source, fibre, taps)
        case PhotonPairSource():
            return pair_source(source, fibre, taps)
