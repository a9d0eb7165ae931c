"""Where a lab listens: in its file, in its plan, and on a host that may not have such an address."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace

import pytest

from deploy import reach
from deploy.credentials import Credentials
from deploy.errors import LabFileInvalid, UsageError
from deploy.lab import Ports
from deploy.launcher import Place
from deploy.plan import Plan, plan
from deploy.topology import Lab

ReadLab = Callable[[str], Lab]
NODES = "nodes: {alice: , bob: }\n"
_HERE = Place("10.77.0.1", 8883)


@pytest.fixture
def planned(read: ReadLab) -> Plan:
    return replace(plan(read(NODES), host="127.0.0.1"), ports=Ports(0, 0, 0))


@pytest.fixture
def _with_mosquitto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "find_mosquitto", lambda: "/usr/sbin/mosquitto")


def test_a_lab_listens_on_the_loopback_address_without_certificates_unless_its_file_names_a_host(
    read: ReadLab,
) -> None:
    near, far = plan(read(NODES)), plan(read(f"runtime: {{host: 10.77.0.1, ports: {{state: 9}}}}\n{NODES}"))
    assert reach.places(near) == (Place(), Place())
    assert Credentials(near).server_identity(Place()) is None
    assert (far.host, far.ports) == ("10.77.0.1", Ports(8883, 9, 7085))
    identity = Credentials(far).server_identity(_HERE)
    assert identity is not None
    assert plan(read(f"runtime: {{host: 10.77.0.1}}\n{NODES}"), host="").host == ""


@pytest.mark.parametrize(
    ("runtime", "complaint"),
    [
        ("{host: 0.0.0.0}", "stands for all addresses"),
        ("{host: '::'}", "stands for all addresses"),
        ("{host: 'a b'}", "is not the name or address of a host; write host: 10.77.0.1"),
        ("{host: [a]}", "not the name or address of a host"),
        ("{host: mqtt://a}", "is not the name or address of a host"),
        ("{host: a, broker: embedded}", "'embedded' does not; write broker: mosquitto"),
        ("{host: a, broker: 'mqtt://b'}", "does not; write broker: mosquitto"),
        ("{host: a, launcher: docker}", "containers have networks of their own"),
        ("{broker: embedded, launcher: docker}", "no way to 'embedded'; write broker: mosquitto"),
        ("{broker: 'mqtt://b', launcher: docker}", "a mosquitto of their own"),
        ("{ports: {broker: 8883}}", "write host: and an address"),
        ("{host: a, ports: {broker: 65536}}", "less than or equal to 65535"),
        ("{host: a, ports: {state: -1}}", "greater than or equal to 0"),
        ("{host: a, ports: {door: 1}}", "unknown key 'door'"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_write(
    read: ReadLab, runtime: str, complaint: str
) -> None:
    with pytest.raises(LabFileInvalid) as invalid:
        read(f"runtime: {runtime}\n{NODES}")
    (problem,) = invalid.value.problems
    assert problem.line == 1
    assert complaint in problem.message


@pytest.mark.parametrize("text", ["", "a b", "0.0.0.0", "-x", "host:1\n"])
def test_an_option_that_names_no_host_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--host"):
        reach.host_of(text)


@pytest.mark.usefixtures("_with_mosquitto")
def test_what_does_not_go_with_a_host_is_refused_before_anything_is_started(planned: Plan) -> None:
    assert reach.places(planned) == (Place("127.0.0.1"), Place("127.0.0.1"))
    for changed, complaint in (
        (replace(planned, launcher="docker"), "for labs of processes"),
        (replace(planned, launcher="docker", host="", broker="embedded"), "a mosquitto of their own"),
        (replace(planned, launcher="docker", host="", broker="mqtt://b"), "no way to the broker 'mqtt://b'"),
        (replace(planned, broker="embedded"), "'embedded' does not; write broker: mosquitto"),
        (replace(planned, broker="mqtt://b"), "write broker: mosquitto"),
        (replace(planned, host="198.51.100.7"), "is no address of this host"),
        (replace(planned, host="no-such-host.invalid"), "is not known here"),
    ):
        with pytest.raises(UsageError, match=complaint):
            reach.places(changed)


@pytest.mark.usefixtures("_with_mosquitto")
def test_a_port_that_is_taken_is_told_with_the_key_that_changes_it(planned: Plan) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"127\.0\.0\.1:{port} already.*\{{ports: \{{state: PORT\}}\}}"):
            reach.places(replace(planned, ports=Ports(0, port, 0)))


@pytest.mark.usefixtures("_with_mosquitto")
def test_a_name_that_only_this_host_finds_is_refused(planned: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.1.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(
        UsageError, match=r"'mybox' is 127\.0\.1\.1 on this host, where no other host reaches it"
    ):
        reach.places(replace(planned, host="mybox"))


def test_without_mosquitto_it_is_told_how_to_get_it(planned: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "find_mosquitto", lambda: None)
    with pytest.raises(UsageError, match="mosquitto, which is not here; install it"):
        reach.places(planned)
