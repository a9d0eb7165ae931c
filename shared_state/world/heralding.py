"""From a link's source to its scheme."""

from __future__ import annotations

from shared_state.config import (
    DoubleClickSource,
    FibreConfig,
    PhotonPairSource,
    SingleClickSource,
    SourceConfig,
    WernerSource,
)
from shared_state.world.schemes.double_click import double_click
from shared_state.world.schemes.pair_source import pair_source
from shared_state.world.schemes.scheme import Scheme
from shared_state.world.schemes.single_click import single_click
from shared_state.world.schemes.werner import werner


def scheme_of(source: SourceConfig, fibre: FibreConfig) -> Scheme:
    """Return what the source amounts to on the fibre. Raises ValueError where no pair can ever be made."""
    match source:
        case WernerSource():
            return werner(source)
        case SingleClickSource():
            return single_click(source, fibre)
        case DoubleClickSource():
            return double_click(source, fibre)
        case PhotonPairSource():
            return pair_source(source, fibre)
