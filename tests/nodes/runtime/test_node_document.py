"""What a node is told is the same after it has been a line of JSON."""

from __future__ import annotations

import json
from dataclasses import fields
from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.agreement import LinkAgreement
from nodes.keys.service import Limits
from nodes.keys.site import Pair
from nodes.runtime.channel import Hop
from nodes.runtime.config import Access, NodeConfig
from nodes.runtime.keys_config import KeysConfig
from nodes.runtime.kme_config import KmeConfig
from shared_state.document import read, write
from shared_state.errors import DocumentInvalid
from shared_state.tls import TlsIdentity

TEXTS = st.text(max_size=30)
NAMES = st.sampled_from(["alice", "bob", "charlie"])
MAPS = st.dictionaries(NAMES, TEXTS)
TIMES = st.floats(0, 1e6)
LASTING = st.one_of(TIMES, st.just(inf))
COUNTS = st.integers(0, 1 << 40)
FAILURES = st.floats(1e-30, 0.5)

HOPS = st.builds(Hop, delay=TIMES, jitter=TIMES, loss=st.floats(0, 0.9))
IDENTITIES = st.builds(TlsIdentity, authority=TEXTS, certificate=TEXTS, key=TEXTS)
ACCESSES = st.builds(Access, host=TEXTS, port=COUNTS, secret=TEXTS, tls=st.none() | IDENTITIES)
AGREEMENTS = st.builds(
    LinkAgreement,
    protocol=st.sampled_from(["bb84", "decoy-bb84", "bbm92", "e91"]),
    reconciliation=st.sampled_from(["ldpc", "cascade"]),
    block=st.integers(1, 20_000_000),
    intensities=st.tuples(TIMES, TIMES),
    intensity_probabilities=st.tuples(TIMES, TIMES),
    basis_probability=st.floats(0, 1),
    pulse_rate=TIMES,
    secrecy=FAILURES,
    correctness=FAILURES,
    continuous=st.booleans(),
)
LIMITS = st.builds(Limits, **{each.name: COUNTS for each in fields(Limits)[:-1]}, hold_seconds=TIMES)
PATHS = st.sampled_from([Path("/a/b.pem"), Path("c")])
KMES = st.builds(
    KmeConfig,
    lab=TEXTS,
    node=TEXTS,
    saes=MAPS,
    authority=PATHS,
    certificate=PATHS,
    key=PATHS,
    host=TEXTS,
    port=COUNTS,
    limits=LIMITS,
    deliver_reproducible=st.booleans(),
    tls=st.sampled_from(["classical", "post-quantum"]),
)
PAIRS = st.builds(
    Pair, source=st.sampled_from(["qkd", "pqc", "hybrid"]), low_water=COUNTS, batch=COUNTS, parameters=TEXTS
)
KEYS = st.builds(
    KeysConfig,
    store=TEXTS,
    wrapping_key=TEXTS,
    identity_seed=TEXTS,
    public_keys=MAPS,
    links=st.dictionaries(NAMES, st.tuples(NAMES, NAMES)),
    saes=MAPS,
    pairs=st.dictionaries(NAMES, PAIRS),
    kme=st.none() | KMES,
    compromised=st.booleans(),
)
NODE_FIELDS: dict[str, st.SearchStrategy[object]] = {
    "lab": TEXTS,
    "name": TEXTS,
    "broker": ACCESSES,
    "shared_state": ACCESSES,
    "links": MAPS,
    "sources": MAPS,
    "channels": st.dictionaries(NAMES, st.tuples(HOPS, HOPS) | st.tuples()),
    "secrets": MAPS,
    "keys": KEYS,
    "seed": st.none() | COUNTS,
    "shortest_delay": LASTING,
    "pair_links": MAPS,
    "memories": COUNTS,
    "cutoff": LASTING,
    "agreements": st.dictionaries(NAMES, AGREEMENTS),
    "incarnation": COUNTS,
    "severed": st.tuples(NAMES),
    "external": st.tuples(NAMES, NAMES),
}
NODES = st.fixed_dictionaries(NODE_FIELDS).map(lambda drawn: NodeConfig(**drawn))  # type: ignore[arg-type]


def test_the_property_below_draws_every_field_of_a_node() -> None:
    assert {each.name for each in fields(NodeConfig)} == NODE_FIELDS.keys()


@given(NODES)
def test_a_node_reads_what_was_written_for_it(config: NodeConfig) -> None:
    text = write(config)
    assert "\n" not in text
    assert read(NodeConfig, text) == config


@given(NODES)
def test_of_a_secret_that_is_out_of_place_nothing_is_shown(config: NodeConfig) -> None:
    document = json.loads(write(config))
    document["broker"] = {"host": "here", "port": "Top secret", "secret": "Top secret"}
    with pytest.raises(DocumentInvalid, match=r"'broker.port' is not of type int") as refused:
        read(NodeConfig, json.dumps(document))
    assert "secret" not in str(refused.value)
