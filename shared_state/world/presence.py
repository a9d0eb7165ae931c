"""Which nodes are there, and which runs they have left."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from shared_state.errors import PeerDeparted, PeerLeftRun, RunClosed

REMEMBERED: Final = 1024
"""So many runs that a node has left are remembered, per node; the latecomers of older ones wait in vain."""


class Presence:
    """Nodes that have departed and runs that have been left.

    A node that has not come yet is awaited; one that has gone is not.
    """

    def __init__(self) -> None:
        self._departed: set[str] = set()
        self._left: defaultdict[str, dict[str, None]] = defaultdict(dict)

    def arrive(self, node: str) -> None:
        """Note that the node is there, and new: it has left no run."""
        self._departed.discard(node)
        self._left.pop(node, None)

    def depart(self, node: str) -> None:
        """Note that the node has gone."""
        self._departed.add(node)

    def leave(self, node: str, run: str) -> None:
        """Note that the node has ended its part of the run."""
        left = self._left[node]
        left[run] = None
        if len(left) > REMEMBERED:
            del left[next(iter(left))]

    def check_open(self, node: str, run: str) -> None:
        """Raise RunClosed when the node itself has ended its part of the run."""
        if run in self._left[node]:
            raise RunClosed(f"{node} has ended its part of run {run!r}: begin another run.")

    def check_peer(self, peer: str, run: str) -> None:
        """Raise PeerDeparted or PeerLeftRun when nothing will come from the peer under this run."""
        if peer in self._departed:
            raise peer_departed(peer)
        if run in self._left[peer]:
            raise peer_left_run(peer, run)


def peer_departed(node: str) -> PeerDeparted:
    """Return the error for who waits for a node that has gone."""
    return PeerDeparted(f"{node} has departed; its qubits were traced out.", node=node)


def peer_left_run(node: str, run: str) -> PeerLeftRun:
    """Return the error for who waits for a node that has ended its part of the run."""
    return PeerLeftRun(f"{node} has ended its part of run {run!r}.", node=node)
