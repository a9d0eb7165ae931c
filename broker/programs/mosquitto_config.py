"""The files that make a mosquitto a lab's broker: its configuration, its access list, its password file."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from broker.access import AccessRule
from broker.programs.program import MAX_PACKET, BrokerConfig

_ITERATIONS = 101  # what mosquitto_passwd takes; a lab's passwords are random, so guessing is hopeless anyway


def write_files(config: BrokerConfig, port: int) -> Path:
    """Write all files into the config's directory, readable by its owner only; return the main one's path."""
    config.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(config.directory / "acl", access_list(config.access, config.users))
    _write(config.directory / "passwd", password_file(config.users))
    if config.tls is not None:
        _write(config.directory / "ca.pem", config.tls.authority)
        _write(config.directory / "broker.pem", config.tls.certificate)
        _write(config.directory / "broker.key", config.tls.key)
    main = config.directory / "mosquitto.conf"
    _write(main, configuration(config, port))
    return main


def configuration(config: BrokerConfig, port: int) -> str:
    """Return the main configuration: named users only, bound client ids, nothing dropped for want of room.

    An unconfirmed message counts against ``max_inflight_messages``, the broker keeps the rest; a limit on
    what it keeps would make it drop messages without a word to sender or receiver.
    """
    directory = config.directory.resolve()
    # Started as root, mosquitto would become a user who cannot read these files. Others ignore the line.
    user = "user root\n" if os.geteuid() == 0 else ""
    tls = ""
    if config.tls is not None:
        tls = f"""\
cafile {directory}/ca.pem
certfile {directory}/broker.pem
keyfile {directory}/broker.key
require_certificate true
use_identity_as_username true
tls_version tlsv1.2
"""
    return f"""\
{user}allow_anonymous false
acl_file {directory}/acl
password_file {directory}/passwd
listener {port} {config.host}
use_username_as_clientid true
{tls}set_tcp_nodelay true
max_inflight_messages 100
max_queued_messages 0
max_queued_bytes 0
max_packet_size {MAX_PACKET}
persistence true
persistence_location {directory}/
persistent_client_expiration 1d
log_dest stderr
log_type error
log_type warning
log_type notice
log_type information
"""


def access_list(rule: AccessRule, users: Iterable[str]) -> str:
    """Return the access rule as mosquitto's ACL: for the lab's parties, each by its name, and for nobody else.

    Under TLS whoever has a certificate of the lab's authority is let in, applications with theirs among them.
    """
    lines = list[str]()
    for user in users:
        lines += [f"user {user}"]
        lines += [f"topic write {granted}" for granted in rule.writable(user)]
        lines += [f"topic read {granted}" for granted in rule.readable(user)]
    return "\n".join(lines) + "\n"


def password_file(users: Mapping[str, str]) -> str:
    """Return a line per user in mosquitto's format 7: PBKDF2 with HMAC-SHA512."""
    return "".join(f"{user}:{_hashed(password)}\n" for user, password in users.items())


def _hashed(password: str) -> str:
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    return f"$7${_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
