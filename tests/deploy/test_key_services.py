"""``services: {etsi014: ...}`` in a lab file becomes a node's key service, and mistakes in it are told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from deploy.cli.up import _warnings
from deploy.lab import KeyService
from deploy.plan import plan
from deploy.topology import Lab
from nodes.keys.service import Limits

ReadLab = Callable[[str], Lab]
ReadProblems = Callable[[str], list[str]]


def node(keys: str) -> str:
    return f"nodes:\n  a: {{services: {{etsi014: {{{keys}}}}}}}\n"


def test_a_node_without_the_service_has_none(read: ReadLab) -> None:
    lab = read("nodes: {a: , b: {services: }, c: {services: {etsi014: }}}")
    assert [each.key_service for each in lab.nodes.values()] == [None, None, None]


def test_one_application_is_all_that_must_be_written(read: ReadLab) -> None:
    service = read(node("sae: [vpn-north]")).nodes["a"].key_service
    assert service == KeyService(("vpn-north",), 0, Limits(), False, "classical")


def test_every_key_reaches_the_service(read: ReadLab) -> None:
    keys = (
        "sae: [a.b, c_d], port: 8443, key_size: 352, min_key_size: 128, max_key_size: 1024, max_key_per_request: 5, "
        "max_key_count: 100000, deliver_reproducible: true, tls: post-quantum"
    )
    limits = Limits(
        key_size=352, min_key_size=128, max_key_size=1024, max_key_per_request=5, max_key_count=100_000
    )
    assert read(node(keys)).nodes["a"].key_service == KeyService(
        ("a.b", "c_d"), 8443, limits, True, "post-quantum"
    )


MISTAKES = [
    (node("port: 8443"), "2:27: sae: missing; write sae: [vpn-north]"),
    (node("sae: []"), "2:33: sae: empty; write sae: [vpn-north]"),
    (node("sae: vpn"), "2:33: sae: not a list; write sae: [vpn-north]"),
    (node("sae: [a b]"), "2:34: 'a b' is not an SAE ID"),
    (node("sae: [a/b]"), "2:34: 'a/b' is not an SAE ID"),
    (node("sae: [x, x]"), "2:37: SAE 'x' is at node 'a' already; write another ID"),
    (node("sae: [x], port: 0"), "2:44: port: '0' should be greater than or equal to 1; write port: 8443"),
    (node("sae: [x], port: 65536"), "2:44: port: '65536' should be less than or equal to 65535"),
    (node("sae: [x], port: https"), "2:44: port: 'https' is not a whole number"),
    (node("sae: [x], key_size: 12"), "2:48: key_size: '12' should be a multiple of 8"),
    (
        node("sae: [x], key_size: 8192"),
        "2:48: key_size: keys have 8192 bits by default, 64 at least and 4096 at",
    ),
    (
        node("sae: [x], max_key_size: 128"),
        "2:52: max_key_size: keys have 256 bits by default, 64 at least and 128",
    ),
    (
        node("sae: [x], tls: pq"),
        "2:43: tls: 'pq' is not 'classical' or 'post-quantum'; write tls: post-quantum",
    ),
    (
        node("sae: [x], deliver_reproducible: maybe"),
        "deliver_reproducible: 'maybe' is neither true nor false",
    ),
    (node("saes: [x]"), "2:28: unknown key 'saes'; did you mean 'sae'?"),
    ("nodes: {a: {services: {etsi004: {}}}}", "1:24: unknown key 'etsi004'; did you mean 'etsi014'?"),
]


@pytest.mark.parametrize(("text", "problem"), MISTAKES)
def test_a_mistake_is_told(problems: ReadProblems, text: str, problem: str) -> None:
    assert any(problem in told for told in problems(text)), problems(text)


def test_an_application_and_a_port_belong_to_one_node(problems: ReadProblems) -> None:
    text = (
        "nodes:\n"
        "  a: {services: {etsi014: {sae: [x], port: 8443}}}\n"
        "  b: {services: {etsi014: {sae: [y, x], port: 8443}}}\n"
        "  c: {services: {etsi014: {sae: [z]}}}\n"
        "  d: {services: {etsi014: {sae: [u]}}}\n"
    )
    assert problems(text) == [
        "3:37: SAE 'x' is at node 'a' already; write another ID",
        "3:47: port: 8443 is taken by node 'a'; write another one, or none to take a free one",
    ]


@pytest.mark.parametrize(
    ("keys", "stock"),
    [
        ("", 0),
        ("source: pqc", 128),
        ("source: hybrid", 128),
        ("source: hybrid, stock: 5", 5),
        ("stock: 9", 9),
    ],
)
def test_what_cannot_be_relayed_is_in_store_for_the_largest_request(
    read: ReadLab, keys: str, stock: int
) -> None:
    lab = read(f"nodes: {{a: {{services: {{etsi014: {{sae: [x]}}}}}}}}\nkeys: {{{keys}}}")
    assert lab.keys.pair.low_water == stock
    service = lab.nodes["a"].key_service
    assert service is not None
    assert "source" not in keys or "stock" in keys or service.limits.max_key_per_request == stock


def test_who_brings_a_seeded_lab_up_hears_that_its_keys_will_not_be_delivered(read: ReadLab) -> None:
    lab = "seed: 1\nnodes: {a: {services: {etsi014: {sae: [x]}}}, b: {services: {etsi014: {sae: [y]}}}}\n"
    [told] = _warnings(plan(read(lab)))
    assert "a, b will not deliver them" in told
    assert "deliver_reproducible: true" in told
    allowed = lab.replace("[x]", "[x], deliver_reproducible: true")
    assert "computed from it: b will not" in next(_warnings(plan(read(allowed))))
    assert list(_warnings(plan(read(lab.replace("seed: 1\n", ""))))) == []
    assert list(_warnings(plan(read(f"{lab}keys: {{source: pqc}}")))) == []
