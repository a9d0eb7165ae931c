"""Under TLS mosquitto takes a party to be whom its certificate names, and takes nobody without one of the lab's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from broker.envelope import Envelope
from broker.errors import BrokerRefused, BrokerUnreachable, ProgramMissing
from broker.mqtt import MqttBus
from broker.programs.choose import choose, find_mosquitto
from broker.programs.program import BrokerConfig, BrokerProgram, BrokerTls
from deploy.certificates import Authority
from shared_state.tls import TlsIdentity
from tests.broker.conftest import USERS

NOW = datetime.now(UTC)
pytestmark = [pytest.mark.mosquitto, pytest.mark.processes]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("lab", NOW)


def of(identity: TlsIdentity) -> BrokerTls:
    return BrokerTls(identity.authority, identity.certificate, identity.key)


@pytest.fixture
async def broker(config: BrokerConfig, authority: Authority) -> AsyncIterator[BrokerProgram]:
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    tls = of(authority.identify("broker", ["broker", "127.0.0.1"]))
    async with choose(replace(config, tls=tls), "mosquitto") as running:
        yield running


def bus(broker: BrokerProgram, name: str, tls: TlsIdentity | None, password: str = "") -> MqttBus:
    context = None if tls is None else tls.client_context()
    return MqttBus(name, "lab", broker.host, broker.port, name, password, tls=context, patience=2.0)


async def test_parties_are_whom_their_certificates_name(
    broker: BrokerProgram, authority: Authority, new_envelope: Callable[..., Envelope]
) -> None:
    """The password counts for nothing: the certificate does."""
    alice, bob = (bus(broker, name, authority.identify(name), "no password") for name in ("alice", "bob"))
    async with asyncio.timeout(20), bob, alice:
        await alice.publish(new_envelope())
        delivery = await anext(aiter(bob.deliveries()))
        assert delivery.content == new_envelope()
        delivery.acknowledge()


async def test_a_name_that_is_not_in_the_certificate_gets_nothing(
    broker: BrokerProgram, authority: Authority, new_envelope: Callable[..., Envelope]
) -> None:
    """Who shows Alice's certificate and Bob's password may neither read what is Bob's nor write as Bob."""
    claims = bus(broker, "bob", authority.identify("alice"), USERS["bob"])
    bob, charlie = (bus(broker, name, authority.identify(name)) for name in ("bob", "charlie"))
    async with asyncio.timeout(20), bob, charlie, claims:
        stolen = asyncio.ensure_future(anext(aiter(claims.deliveries())))
        at_charlie = aiter(charlie.deliveries())
        await claims.publish(new_envelope(sender="bob", recipient="charlie"))
        await bob.publish(genuine := new_envelope(1, sender="bob", recipient="charlie"))
        assert (await anext(at_charlie)).content == genuine
        await charlie.publish(letter := new_envelope(sender="charlie", recipient="bob"))
        assert (await anext(aiter(bob.deliveries()))).content == letter
        await asyncio.wait([stolen], timeout=0.3)
        assert not stolen.done()
        stolen.cancel()
        await asyncio.wait([stolen])


async def test_an_applications_certificate_opens_nothing(
    broker: BrokerProgram, authority: Authority, new_envelope: Callable[..., Envelope]
) -> None:
    """It is of the lab's authority, and its owner is no party of the lab's."""
    charlie = bus(broker, "charlie", authority.identify("charlie"))
    stranger = bus(broker, "alice", authority.identify("SAE vpn-alice"), USERS["alice"])
    bob = bus(broker, "bob", authority.identify("bob"))
    async with asyncio.timeout(20), charlie, bob, stranger:
        stolen = asyncio.ensure_future(anext(aiter(stranger.deliveries())))
        at_charlie = aiter(charlie.deliveries())
        await stranger.publish(new_envelope(recipient="charlie"))
        await bob.publish(genuine := new_envelope(sender="bob", recipient="charlie"))
        assert (await anext(at_charlie)).content == genuine
        await charlie.publish(new_envelope(sender="charlie", recipient="alice"))
        await asyncio.wait([stolen], timeout=0.3)
        assert not stolen.done()
        stolen.cancel()
        await asyncio.wait([stolen])


async def test_certificates_of_others_and_of_the_past_are_refused(
    broker: BrokerProgram, authority: Authority
) -> None:
    own = authority.identify("alice")
    foreign = replace(Authority("lab", NOW).identify("alice"), authority=own.authority)
    valid, authority.valid = authority.valid, (NOW - timedelta(days=9), NOW - timedelta(days=1))
    expired = authority.identify("alice")
    authority.valid = valid

    async def refused(identity: TlsIdentity | None) -> None:
        with pytest.raises((BrokerRefused, BrokerUnreachable)):
            async with asyncio.timeout(20), bus(broker, "alice", identity, "the-password-of-alice"):
                pass

    async with asyncio.TaskGroup() as group:
        for identity in (foreign, expired, None):
            group.create_task(refused(identity))
    async with asyncio.timeout(20), bus(broker, "alice", own):
        pass


def test_the_embedded_broker_asks_for_no_certificates(config: BrokerConfig, authority: Authority) -> None:
    with pytest.raises(ProgramMissing, match="mosquitto"):
        choose(replace(config, tls=of(authority.identify("broker", ["broker"]))), "embedded")
