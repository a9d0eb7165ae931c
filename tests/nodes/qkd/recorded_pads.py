"""One-time keys that are remembered, so that a test can tell whether one was used twice."""

from __future__ import annotations

from dataclasses import dataclass, field

from nodes.qkd.pads import OneTimeKey, Pads


@dataclass
class RecordedPads:
    """Pads that remember which of them ``role``, the end that holds them, has used for tags of its own."""

    pads: Pads
    role: str
    used: list[tuple[bytes, bytes]] = field(default_factory=list)

    @property
    def epoch(self) -> str:
        return self.pads.epoch

    def take(self, sender: str) -> OneTimeKey:
        key = self.pads.take(sender)
        if sender == self.role:
            self.used.append((key.point, key.pad))
        return key
