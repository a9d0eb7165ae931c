"""Trains whose settings the devices draw: sent, measured, and what the transmitter remembers of them."""

from __future__ import annotations

from collections import defaultdict
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared_state.errors import BadRequest, LimitExceeded
from shared_state.world.drawn_trains import SentTrain, Settings, draw_train, longest
from shared_state.world.ends import Ends
from shared_state.world.light_links import LightLinks
from shared_state.world.limits import check_count
from shared_state.world.queues import Ask, Flash, Place, Ticket

MAX_REMEMBERED: Final = 2**28
"""Bytes that the transmitters of one node may remember of trains not yet recalled: 3 10^7 detections' worth."""


class _Remembered(NamedTuple):
    link: str
    train: SentTrain


class TrainLinks:
    """Trains of drawn settings over all fibres. ``node`` is who asks; whatever it names must be its own."""

    def __init__(self, ends: Ends, light: LightLinks) -> None:
        self._ends = ends
        self._light = light
        self._remembered: dict[str, dict[str, dict[int, _Remembered]]] = defaultdict(dict)
        self._sizes: dict[str, int] = defaultdict(int)
        self._sent: dict[str, int] = defaultdict(int)

    def emit(self, node: str, at: float, run: str, link: str, count: int) -> tuple[int, int, float]:
        """Send as many of ``count`` pulses as one train may have; return its id, how many, when the last has left."""
        check_count(count)
        place, start = self._light.prepare("train", node, at, run, link)
        if self._sizes[node] > MAX_REMEMBERED:
            raise LimitExceeded(
                f"the transmitters of {node} remember more than {MAX_REMEMBERED} bytes of what they sent: "
                "recall trains first."
            )
        pulses, path = self._ends.links[link].pulses, self._ends.path(link, node, run)
        rng = self._ends.nature.rng(f"link/{link}/transmitter/{node}", run)
        train, sent = draw_train(min(count, longest(pulses, path)), start, pulses, path, rng)
        number = self._sent[node] = self._sent[node] + 1
        self._remembered[node].setdefault(run, {})[number] = _Remembered(link, sent)
        self._sizes[node] += sent.size
        left = self._light.launch(place, Flash(node, train, promised=count))
        return number, sent.count, left

    def measure(self, ticket: Ticket, node: str, at: float, run: str, link: str, count: int) -> None:
        """Ask for the next train; ``count`` pulses are expected in all, from its first one on."""
        check_count(count)
        self._light.await_light(Ask(ticket, node, at, Place("train", link, run, node), pulses=count))

    def recall(self, node: str, run: str, train: int, indices: NDArray[np.uint32]) -> Settings:
        """Return what was sent at ``indices``, which ascend; the train is then forgotten."""
        link, sent = self._look_up(node, run, train)
        if len(indices) and (indices[-1] >= sent.count or (indices[1:] <= indices[:-1]).any()):
            raise BadRequest(
                f"the indices must ascend, each once, and be below {sent.count}, the length of the train."
            )
        self._forget(node, run, train)
        return sent.recall(indices, self._ends.nature.rng(f"link/{link}/transmitter/{node}", run))

    def tally(self, node: str, run: str, train: int) -> NDArray[np.int64]:
        """Return how many pulses of a train had each intensity and basis; before it is recalled."""
        return self._look_up(node, run, train).train.tally

    def close_run(self, node: str, run: str) -> None:
        """Forget what the node's transmitters sent in a run."""
        for train in list(self._remembered[node].get(run, ())):
            self._forget(node, run, train)

    def depart(self, node: str) -> None:
        """Forget all that the node's transmitters sent."""
        for run in list(self._remembered[node]):
            self.close_run(node, run)

    def _look_up(self, node: str, run: str, train: int) -> _Remembered:
        self._ends.nature.presence.check_open(node, run)
        remembered = self._remembered[node].get(run, {}).get(train)
        if remembered is None:
            raise BadRequest(
                f"{node} sent no train {train} in run {run!r}, or has recalled it before: ask for all in one."
            )
        return remembered

    def _forget(self, node: str, run: str, train: int) -> None:
        trains = self._remembered[node][run]
        self._sizes[node] -= trains.pop(train).train.size
        if not trains:
            del self._remembered[node][run]
