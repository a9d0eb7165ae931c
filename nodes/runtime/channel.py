"""The classical channel to another node: how long a message takes through the links on the way.

On each link a message needs the delay d, which is length / velocity + extra_delay, plus a jitter that is uniform in
[0, jitter). A transmission is lost with probability p; the sender knows after a round trip 2 d and repeats it, for MQTT
is a reliable transport. The number of losses before the first success is geometrically distributed, so the mean over
a path is the sum over its links of

    d + jitter / 2 + p / (1 - p) * 2 d

Messages do not overtake each other: one that would arrives together with the one before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, log
from typing import Final

from nodes.ports import Coin
from nodes.runtime.coin import make_coin

_FORMER: Final = 64
"""So many former delays of a channel are remembered, for messages that are on their way when it changes."""


@dataclass(frozen=True, slots=True, order=True)
class Hop:
    """The classical channel beside one fibre: ``delay`` and ``jitter`` in seconds, ``loss`` per transmission.

    Raises ``ValueError`` for a time that is negative or not finite, and for a ``loss`` outside [0, 1).
    """

    delay: float
    jitter: float = 0.0
    loss: float = 0.0

    def __post_init__(self) -> None:
        for name, time in (("delay", self.delay), ("jitter", self.jitter)):
            if not (isfinite(time) and time >= 0):
                raise ValueError(f"a message cannot take a {name} of {time!r} s: it is a time from 0 s on")
        if not 0 <= self.loss < 1:
            raise ValueError(
                f"a loss of {self.loss!r} is no probability below 1: no message would ever arrive"
            )

    @property
    def mean(self) -> float:
        """Return the mean time of a message in seconds, with jitter and repetitions."""
        return self.delay + self.jitter / 2 + self.loss / (1 - self.loss) * 2 * self.delay

    def draw(self, coin: Coin) -> float:
        """Return the time that one message takes, in seconds."""
        time = self.delay
        if self.jitter:
            time += self.jitter * coin.uniform()
        if self.loss:
            losses = int(log(1 - coin.uniform()) / log(self.loss))
            time += losses * 2 * self.delay
        return time


class Channel:
    """The way of this node's messages to one other node, over ``hops``; it draws from a coin of its own."""

    def __init__(self, hops: Sequence[Hop], coin: Coin) -> None:
        self._hops = tuple(hops)
        self._coin = coin
        self._latest = 0.0
        self._former: deque[tuple[float, float]] = deque(maxlen=_FORMER)

    @property
    def hops(self) -> tuple[Hop, ...]:
        """Return the links on the way."""
        return self._hops

    @property
    def delay(self) -> float:
        """Return the seconds that every message takes at least."""
        return sum(hop.delay for hop in self._hops)

    def least(self, sent_at: float) -> float:
        """Return the seconds that a message which was sent then takes at least, the channel changed since or not."""
        return min([self.delay, *(delay for until, delay in self._former if sent_at <= until)])

    def change(self, hops: Sequence[Hop], now: float) -> None:
        """Let messages pass other links, or the same ones in another state, from ``now`` on."""
        self._former.append((now, self.delay))
        self._hops = tuple(hops)

    def no_earlier(self, arrival: float) -> float:
        """Return when a message arrives that has waited, would arrive then, and must not overtake or be overtaken."""
        self._latest = max(self._latest, arrival)
        return self._latest

    def arrival(self, sent_at: float) -> float:
        """Return when a message sent at ``sent_at`` arrives, no earlier than those sent before it."""
        return self.no_earlier(sent_at + sum(hop.draw(self._coin) for hop in self._hops))


def open_channel(hops: Sequence[Hop], seed: int | None, sender: str, recipient: str) -> Channel:
    """Make the channel from ``sender`` to ``recipient``, with a random stream of its own from the lab's seed."""
    return Channel(hops, make_coin(seed, "channel", sender, recipient))
