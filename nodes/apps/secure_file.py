"""The program ``send``: make a secret key with QKD and send a file under it.

Alice and Bob distil a key from photons on the fibre between them (``nodes.qkd.pipeline``); Alice then sends
the file encrypted with AES-256-GCM (``nodes.apps.file_transfer``). When the key is refused, no file is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nodes.apps import file_transfer
from nodes.ports import Clock, Coin, Peer, QuantumLink, SharedSecret
from nodes.qkd import pipeline
from nodes.qkd.authentication import AuthenticatedPeer
from nodes.qkd.report import QkdReport

KEY_LABEL = "file transfer"


@dataclass(frozen=True, slots=True)
class SecureFileReport:
    """How the key was made, and the file that arrived under it: None when the key was refused."""

    qkd: QkdReport
    transfer: file_transfer.TransferReport | None


async def alice(
    bob: Peer,
    bob_link: QuantumLink,
    bob_secret: SharedSecret,
    coin: Coin,
    clock: Clock,
    source: str = "",
    pulses: int = 100_000,
) -> SecureFileReport:
    """Distil a key with Bob and send him the file at the path ``source``."""
    authenticated = AuthenticatedPeer(bob, bob_secret, role="alice", peer_role="bob")
    settings = pipeline.Settings(pulses=pulses)
    report, key = await pipeline.distil_as_alice(authenticated, bob_link, coin, clock, settings)
    if key is None:
        return SecureFileReport(report, None)
    transfer = await file_transfer.send_file(Path(source), key.aes256(KEY_LABEL), authenticated, coin)
    return SecureFileReport(report, transfer)


async def bob(
    alice: Peer,
    alice_link: QuantumLink,
    alice_secret: SharedSecret,
    coin: Coin,
    clock: Clock,
    destination: str = "",
    pulses: int = 100_000,
) -> SecureFileReport:
    """Distil a key with Alice and write her file to the path ``destination``."""
    authenticated = AuthenticatedPeer(alice, alice_secret, role="bob", peer_role="alice")
    settings = pipeline.Settings(pulses=pulses)
    report, key = await pipeline.distil_as_bob(authenticated, alice_link, coin, clock, settings)
    if key is None:
        return SecureFileReport(report, None)
    transfer = await file_transfer.receive_file(Path(destination), key.aes256(KEY_LABEL), authenticated)
    return SecureFileReport(report, transfer)
