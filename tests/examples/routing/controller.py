"""A routing controller that is to be tested: MQTT, MessagePack and a graph, and no Bellwire.

What it is asked and what it answers is in broker/README.md.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import aiomqtt
import msgpack
import networkx as nx


class Controller:
    """Finds the way over the fewest links, by a map of its own: the two ends of each link, by its name."""

    def __init__(self, links: Mapping[str, tuple[str, str]]) -> None:
        self._map: nx.Graph[str] = nx.Graph()
        for name, ends in links.items():
            self._map.add_edge(*ends, name=name)
        self.asked: list[dict[str, Any]] = []
        self.listens = asyncio.Event()

    async def serve(self, access: Mapping[str, Any]) -> None:
        """Answer all that is asked in a lab, until cancelled."""
        lab, me, sent = access["lab"], access["username"], Counter[tuple[str, str]]()
        async with aiomqtt.Client(
            access["host"], access["port"], username=me, password=access["password"], identifier=me
        ) as client:
            await client.subscribe(f"{lab}/+/to/{me}/routing", qos=1)
            self.listens.set()
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                envelope = msgpack.unpackb(message.payload)
                node, session = envelope["sender"], envelope["session"]
                kind, body = self.answer(envelope["body"])
                reply = {"sender": me, "recipient": node, "kind": kind, "body": body}
                reply["sequence"] = sent[node, session]
                sent[node, session] += 1
                await client.publish(f"{lab}/{me}/to/{node}/routing", msgpack.packb(envelope | reply), qos=1)

    def answer(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the way over the fewest links, around what has failed."""
        self.asked.append(request)
        avoided = set(request["avoid_links"])
        usable = nx.subgraph_view(
            self._map,
            filter_node=lambda node: node not in request["avoid_nodes"],
            filter_edge=lambda one, other: self._map[one][other]["name"] not in avoided,
        )
        try:
            nodes = nx.shortest_path(usable, request["source"], request["destination"])
        except nx.NetworkXException:
            no = {"number": request["number"], "failure": "no-route", "reason": "all ways are cut"}
            return "NoRoutes", no
        way = {
            "nodes": nodes,
            "links": [self._map[one][other]["name"] for one, other in nx.utils.pairwise(nodes)],
            "rate": 1000.0,
            "fidelity": 0.9,
            "delay": 1e-4 * (len(nodes) - 1),
            "alphas": [],
        }
        return "Routes", {"number": request["number"], "ways": [way]}
