"""The secrets of one lab, and each process's slice of the plan with just the secrets that it may know."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from broker.programs.program import BrokerConfig, BrokerTls
from deploy.certificates import Authority, Certificates
from deploy.key_access import KmeAddress, write_addresses
from deploy.launcher import Place
from deploy.plan import NodePlan, Plan
from nodes.identity import SEED_BYTES, Identity
from nodes.runtime.config import Access, NodeConfig
from nodes.runtime.keys_config import KeysConfig
from nodes.runtime.kme_config import KmeConfig
from nodes.runtime.orders import CONTROL, CONTROLLER
from shared_state.config import ServerConfig
from shared_state.tls import TlsIdentity

MONITOR = "monitor"
LOOPBACK = "127.0.0.1"
_PORTS: Final = range(20_000, 32_768)
"""Below those that the system gives to whoever connects: one of these may be taken before the process listens on it."""
_HERE = Place()


class Credentials:
    """Fresh secrets for the lab of ``plan``: a password at the broker and a token at the shared-state server for every
    party, and a secret for every two neighbours."""

    def __init__(
        self, plan: Plan, broker: Place = _HERE, state: Place = _HERE, authority: Authority | None = None
    ) -> None:
        self._plan = plan
        self._broker, self._state = broker, state
        self._authority = authority or Authority(plan.lab, datetime.now(UTC))
        self._tls: dict[str, TlsIdentity] = {}
        self._secured = plan.launcher == "docker" or bool(plan.host)
        if self._secured:
            parties = [*plan.nodes, CONTROL, CONTROLLER, MONITOR]
            self._tls = {name: self._authority.identify(name) for name in parties}
        self._passwords = {
            name: secrets.token_hex(16) for name in [*plan.nodes, CONTROL, CONTROLLER, MONITOR]
        }
        self._tokens = {name: secrets.token_hex(16) for name in [*plan.nodes, CONTROL]}
        self._identities = {name: secrets.token_bytes(SEED_BYTES) for name in plan.nodes}
        self._public_keys = {
            name: Identity.public_key_of(seed).hex() for name, seed in self._identities.items()
        }
        self._certificates: Certificates | None = None
        self._ports: dict[str, int] = {}
        self._wrapping = {name: secrets.token_hex(32) for name in plan.nodes}
        self._shared = {
            frozenset((node.name, end.peer)): secrets.token_hex(32)
            for node in plan.nodes.values()
            for end in node.links
        }

    def broker_config(self, directory: Path) -> BrokerConfig:
        """Return what the broker's process is told."""
        own = self.server_identity(self._broker)
        return BrokerConfig(
            lab=self._plan.lab,
            users=self._passwords,
            directory=directory,
            host=self._broker.host,
            port=self._broker.port,
            monitor=MONITOR,
            tls=None if own is None else BrokerTls(own.authority, own.certificate, own.key),
        )

    def server_identity(self, place: Place) -> TlsIdentity | None:
        """Make the identity of a server of the lab at ``place``, None where its parties show no certificates."""
        return self._authority.identify(place.names[0], place.names) if self._secured else None

    def server_config(self, journal: Path | None, record: Path | None) -> ServerConfig:
        """Return what the shared-state server is told, with the files in which it writes, if any."""
        nodes = {name: self._tokens[name] for name in self._plan.nodes}
        return ServerConfig(
            self._plan.lab,
            self._plan.world,
            nodes,
            self._tokens[CONTROL],
            host=self._state.host,
            port=self._state.port,
            tls=self.server_identity(self._state),
            journal=str(journal or ""),
            record=str(record or ""),
        )

    def broker_access(self, party: str, host: str, port: int) -> Access:
        """Return how ``party`` gets into the broker.

        A broker that the lab did not start knows nothing of the lab's passwords: there every party shows the one in
        the environment variable ``BELLWIRE_BROKER_PASSWORD``.
        """
        given = os.environ.get("BELLWIRE_BROKER_PASSWORD")
        own = not is_external(self._plan.broker)
        secret = self._passwords[party] if own or given is None else given
        return Access(host, port, secret, self._tls.get(party) if own else None)

    def state_access(self, party: str, host: str, port: int) -> Access:
        """Return how a party gets into the shared-state server: a node, or the control party."""
        return Access(host, port, self._tokens[party], self._tls.get(party))

    def node_config(
        self,
        node: NodePlan,
        broker: tuple[str, int],
        state: tuple[str, int],
        directory: Path,
        incarnation: int,
    ) -> NodeConfig:
        """Return what the process of ``node`` is told, with its own directory below ``directory``: its first process,
        or after the death of so many others.

        Of parallel links the first in the lab file serves; photons prefer one that makes no pairs.
        """
        for_photons = sorted(node.links, key=lambda end: end.makes_pairs)
        return NodeConfig(
            lab=self._plan.lab,
            name=node.name,
            broker=self.broker_access(node.name, *broker),
            shared_state=self.state_access(node.name, *state),
            links={end.peer: end.name for end in reversed(for_photons)},
            sources={end.peer: end.name for end in reversed(node.links) if end.makes_pairs},
            channels=node.channels,
            secrets={end.peer: self._shared[frozenset((node.name, end.peer))] for end in node.links},
            keys=self._keys_config(node, directory),
            seed=self._plan.world.seed,
            shortest_delay=self._plan.shortest_delay,
            pair_links={end.name: end.peer for end in node.links if end.stores_pairs},
            memories=self._plan.world.nodes[node.name].memories.count,
            cutoff=self._plan.world.nodes[node.name].memories.cutoff,
            agreements={end.peer: end.qkd for end in reversed(for_photons)},
            incarnation=incarnation,
            external=self._plan.external,
        )

    def issue_certificates(self, directory: Path, hosts: Sequence[str] = ()) -> None:
        """Issue the certificates of all KMEs and applications of the lab, if any, and choose where KMEs listen."""
        served = {node.name: node.key_service for node in self._plan.nodes.values() if node.key_service}
        if not served:
            return
        self._certificates = self._authority.issue(directory / "certificates", served, self._plan.saes, hosts)
        free = _free_ports()
        self._ports = {name: service.port or next(free) for name, service in served.items()}
        write_addresses(directory, self.kme_addresses())

    def kme_addresses(self) -> dict[str, KmeAddress]:
        """Return where the KME of each node that has one listens."""
        return {
            name: KmeAddress(port, name, service.saes)
            for name, port in self._ports.items()
            if (service := self._plan.nodes[name].key_service) is not None
        }

    def _kme_config(self, node: NodePlan) -> KmeConfig | None:
        service, files = node.key_service, self._certificates
        if service is None or files is None:
            return None
        own = files.kme(node.name)
        return KmeConfig(
            lab=self._plan.lab,
            node=node.name,
            saes=self._plan.saes,
            authority=files.authority,
            certificate=own.certificate,
            key=own.key,
            host=self._broker.host if self._plan.launcher == "docker" else LOOPBACK,
            port=self._ports[node.name],
            limits=service.limits,
            deliver_reproducible=service.deliver_reproducible,
            tls=service.tls,
        )

    def _keys_config(self, node: NodePlan, directory: Path) -> KeysConfig:
        links = {other.name: tuple(end.peer for end in other.links) for other in self._plan.nodes.values()}
        return KeysConfig(
            store=str(directory / node.name / "store.sqlite"),
            wrapping_key=self._wrapping[node.name],
            identity_seed=self._identities[node.name].hex(),
            public_keys={name: key for name, key in self._public_keys.items() if name != node.name},
            links=links,
            saes=self._plan.saes,
            pairs=dict.fromkeys(self._partners(node.name), self._plan.keys.pair),
            kme=self._kme_config(node),
            compromised=node.name in self._plan.keys.compromised,
        )

    def _partners(self, node: str) -> set[str]:
        """Return the nodes with which this one shares a pool for applications."""
        served = set(self._plan.saes.values())
        return served - {node} if node in served else set()


def _free_ports() -> Iterator[int]:
    """Yield ports of the loopback address on which nobody listens: a process that is started again keeps its own."""
    for port in secrets.SystemRandom().sample(_PORTS, len(_PORTS)):
        try:
            with socket.socket() as listener:
                listener.bind((LOOPBACK, port))
        except OSError:
            continue
        yield port


def is_external(broker: str) -> bool:
    """Tell whether the lab file names a broker that is there already."""
    return broker.startswith("mqtt://")


def external_address(broker: str) -> tuple[str, int]:
    """Return host and port of ``mqtt://host[:port]``."""
    parts = urlsplit(broker)
    return parts.hostname or LOOPBACK, parts.port or 1883
