"""A configuration is the same after it has been a line of JSON, and what is none is refused without being shown."""

from __future__ import annotations

import json
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_state.config import (
    ClockConfig,
    DetectorConfig,
    DoubleClickSource,
    FibreConfig,
    GateConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    PhotonPairSource,
    PulseConfig,
    ServerConfig,
    SingleClickSource,
    SourceConfig,
    TapConfig,
    WernerSource,
    WorldConfig,
)
from shared_state.document import read, write
from shared_state.errors import DocumentInvalid

FRACTIONS = st.floats(0, 1)
BOTH = st.tuples(FRACTIONS, FRACTIONS)
TIMES = st.floats(1e-9, 1e9)
LASTING = st.one_of(TIMES, st.just(inf))
SECRETS = st.text(min_size=1, max_size=40)

MEMORIES = st.builds(
    MemoryConfig,
    count=st.integers(1, 100),
    t1=st.just(inf),
    t2=LASTING,
    dephasing=st.sampled_from(["markovian", "gaussian"]),
    depolarising_time=LASTING,
    initialisation_fidelity=FRACTIONS,
    cutoff=LASTING,
    attempt_dephasing=st.floats(0, 0.5),
)
GATES = st.builds(GateConfig, two_fidelity=FRACTIONS, two_qubit_noise=st.sampled_from(["joint", "each"]))
SOURCES: st.SearchStrategy[SourceConfig | None] = st.one_of(
    st.none(),
    st.builds(WernerSource, rate=TIMES, fidelity=FRACTIONS),
    st.builds(SingleClickSource, alpha=BOTH, emission=BOTH, midpoint=st.none() | st.floats(0, 1)),
    st.builds(DoubleClickSource, emission=BOTH, multiplexed=st.booleans()),
    st.builds(PhotonPairSource, pair_probability=FRACTIONS, memories=st.booleans()),
)
PULSES = st.builds(
    PulseConfig,
    intensities=st.just((0.5, 0.1)),
    intensity_probabilities=st.just((0.25, 0.75)),
    encoding=st.sampled_from(["polarisation", "time-bin"]),
    detectors=st.builds(DetectorConfig, efficiency=FRACTIONS, dead_time=st.floats(0, 1)),
)


@st.composite
def servers(draw: st.DrawFn) -> ServerConfig:
    """Draw the configuration of a lab of two."""
    nodes = {
        name: NodeDevices(draw(MEMORIES), draw(GATES), draw(st.none() | MEMORIES))
        for name in ("alice", "bob")
    }
    link = LinkDevices(("alice", "bob"), FibreConfig(draw(st.floats(1, 1e6))), draw(SOURCES), draw(PULSES))
    tap = TapConfig("fibre", fraction=draw(FRACTIONS), enabled=draw(st.booleans()))
    clock = ClockConfig(draw(st.sampled_from(["virtual", "real-time"])), draw(TIMES), draw(TIMES))
    seed = draw(st.none() | st.integers(0, 1 << 63))
    world = WorldConfig(nodes, {"fibre": link}, {"eve": tap}, clock, draw(st.integers(1, 20)), seed)
    credentials = {name: draw(SECRETS) for name in nodes}
    port, lease = draw(st.integers(0, 65535)), draw(TIMES)
    return ServerConfig(
        "lab", world, credentials, draw(SECRETS), "::1", port, lease, "/a/journal", "/a/record"
    )


@given(servers())
def test_a_server_reads_what_was_written_for_it(config: ServerConfig) -> None:
    text = write(config)
    assert "\n" not in text
    assert read(ServerConfig, text) == config


def altered(config: ServerConfig, *path: str, to: Any) -> str:
    """Return the document of a configuration with another value at one place."""
    document = json.loads(write(config))
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return json.dumps(document)


@pytest.mark.parametrize(
    ("path", "to", "complaint"),
    [
        (("port",), True, "'port' is not of type int"),
        (("port",), 1.0, "'port' is not of type int"),
        (("port",), "Top secret", "'port' is not of type int"),
        (("lease",), "Top secret", "'lease' is not of type float"),
        (("lease",), False, "'lease' is not of type float"),
        (("lease",), 10**400, "'lease' is not of type float"),
        (("oracle_token",), ["Top secret"], "'oracle_token' is not of type str"),
        (("credentials", "alice"), ["Top secret"], "'credentials' is not of type"),
        (("world", "max_qubits"), None, "'world.max_qubits' is not of type int"),
        (("world", "clock"), {"modus": "Top secret"}, "it has no key 'modus'"),
        (("world", "links"), {"fibre": {"fibre": {"length": 1}}}, "'world.links.endpoints' is missing"),
        (("world", "clock"), {"scale": 0}, "scale"),
    ],
)
def test_what_is_no_configuration_is_refused_by_its_place_and_not_shown(
    config: ServerConfig, path: tuple[str, ...], to: Any, complaint: str
) -> None:
    with pytest.raises(DocumentInvalid) as refused:
        read(ServerConfig, altered(config, *path, to=to))
    assert complaint in str(refused.value)
    assert "Top secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no JSON document"),
        ("{", "no JSON document"),
        ("[]", "begins with '{'"),
        ('"Top secret"', "begins with '{'"),
        ('{"lease": Infinity}', "infinity is written as the text 'infinity'"),
        ('{"lease": NaN}', "NaN is no number of JSON"),
        ("[" * 100_000, "no JSON document"),
    ],
)
def test_what_is_no_document_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(DocumentInvalid, match=complaint):
        read(ServerConfig, text)
