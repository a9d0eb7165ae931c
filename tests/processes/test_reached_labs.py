"""A lab that other hosts could reach takes nobody without a certificate of its own, and says whom it has refused."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import nodes
from broker.errors import BrokerError
from broker.mqtt import MqttBus
from deploy.certificates import Authority
from deploy.errors import UsageError
from deploy.jobs import Job
from deploy.laboratory import Laboratory
from deploy.plan import Plan, plan
from deploy.premises import OwnPremises
from deploy.topology import load
from nodes.errors import JoinRefused
from nodes.runtime.config import NodeConfig
from shared_state.document import read, write
from shared_state.tls import TlsIdentity
from tests.processes.conftest import MOSQUITTO

pytestmark = [pytest.mark.processes, *MOSQUITTO]

Lab = Callable[..., AbstractAsyncContextManager[Laboratory]]
Eventually = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]


@pytest.fixture
def reached(tmp_path: Path) -> Plan:
    """A lab that listens as if others reached it: at free ports of the loopback address, under TLS."""
    file = tmp_path / "reached.yaml"
    file.write_text(
        "runtime: {host: 127.0.0.1, ports: {broker: 0, state: 0, join: 0}}\n"
        "nodes: {alice: {external: true}, bob: }\nlinks: [{endpoints: [alice, bob], length: 1 km}]\n"
    )
    return plan(load(file), default_mode="real-time")


def document(lab: Laboratory) -> NodeConfig:
    return read(NodeConfig, (lab.directory / "external" / "alice.json").read_text())


def authority(lab: Laboratory) -> Authority:
    premises = lab.premises
    assert isinstance(premises, OwnPremises)
    return premises.credentials._authority


async def logged(lab: Laboratory, log: str, what: str, eventually: Eventually) -> None:
    async def told() -> bool:
        return re.search(what, (lab.directory / "logs" / f"{log}.log").read_text()) is not None

    await eventually(told)


async def test_a_lab_with_a_host_does_its_jobs_under_tls_with_a_node_that_joined_by_a_token(
    reached: Plan, lab: Lab
) -> None:
    async with lab(reached) as up:
        offer = up.offer("alice")
        async with nodes.connect("alice", join=offer.address, token=offer.token) as alice:
            assert await (await alice.qubit()).measure() == 0
            assert (await up.run(Job("teleport", rounds=3))).rounds == 3
        assert all(access.tls for access in (up.premises.broker_access("bob"), document(up).shared_state))


@pytest.mark.parametrize("who", ["foreign", "expired", "another party"])
async def test_who_has_no_certificate_of_this_lab_now_is_refused_by_both_servers_and_named_in_their_logs(
    reached: Plan, lab: Lab, who: str, eventually: Eventually, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    async with lab(reached) as up:
        config = document(up)
        own = config.shared_state.tls
        assert own is not None
        match who:
            case "foreign":
                theirs = Authority("reached", now).identify("alice")
                shown = TlsIdentity(own.authority, theirs.certificate, theirs.key)
            case "expired":
                signs = authority(up)
                signs.valid, valid = (now - timedelta(days=2), now - timedelta(days=1)), signs.valid
                shown = signs.identify("alice")
                signs.valid = valid
            case _:
                shown = authority(up).identify("bob")
        forged = tmp_path / "forged.json"
        forged.write_text(
            write(
                replace(
                    config,
                    broker=replace(config.broker, tls=shown),
                    shared_state=replace(config.shared_state, tls=shown),
                )
            )
        )
        with pytest.raises(JoinRefused) as refused:
            await nodes.connect("alice", document=forged).__aenter__()
        assert ": ." not in str(refused.value)
        assert "not in time" not in str(refused.value)
        if who == "another party":  # to the broker it is that party, whatever it calls itself
            await logged(up, "state", "'alice' comes with the certificate of 'bob'", eventually)
            return
        broker = replace(config.broker, tls=shown)
        with pytest.raises(BrokerError):
            async with MqttBus(
                "alice", "reached", broker.host, broker.port, "alice", broker.secret, tls=broker.context()
            ):
                pass
        reason = {"foreign": "certificate signature failure|unable to get|self.signed", "expired": "expired"}[
            who
        ]
        await logged(up, "state", f"refused a connection from 127.0.0.1: .*({reason})", eventually)
        await logged(up, "broker", "certificate verify failed", eventually)
        assert (await up.census()).qubits == 0


async def test_a_joiner_who_leaves_in_the_middle_leaves_nothing_behind(reached: Plan, lab: Lab) -> None:
    async with lab(reached) as up:
        host, _, port = up.offer("alice").address.rpartition(":")
        for _ in range(5):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
        offer = up.offer("alice")
        async with nodes.connect("alice", join=offer.address, token=offer.token):
            pass


async def test_a_lab_that_nobody_else_reaches_offers_no_place(reached: Plan, lab: Lab) -> None:
    async with lab(replace(reached, host="", broker="embedded")) as up:
        with pytest.raises(UsageError, match="--host ADDRESS"):
            up.offer("alice")


async def test_a_token_is_asked_for_where_none_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BELLWIRE_TOKEN", raising=False)
    with pytest.raises(JoinRefused, match="'bellwire node token alice'"):
        await nodes.connect("alice", join="127.0.0.1:7085").__aenter__()
    with pytest.raises(JoinRefused, match="Give its name"):
        await nodes.connect(join="127.0.0.1:7085", token="x").__aenter__()
