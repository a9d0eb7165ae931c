"""Everything that can be wrong with a lab file is told at once: where, what, and what to write instead."""

from __future__ import annotations

from collections.abc import Callable

import pytest

ReadProblems = Callable[[str], list[str]]

HEAD = "nodes: {alice: , bob: , charlie: }\n"
"""One line, so that what follows begins in line 2."""


def link(keys: str) -> str:
    return f"{HEAD}links:\n- endpoints: [alice, bob]\n  {keys}\n"


STRUCTURE = [
    ("", "1:1: there is nothing in it; write nodes:"),
    ("# only a comment\n", "1:1: there is nothing in it; write nodes:"),
    ("hello", "1:1: not a mapping; write one of the keys name, seed, runtime"),
    ("- a\n- b\n", "1:1: not a mapping; write one of the keys"),
    ("name: x", "1:1: nodes: missing; write nodes: {alice: , bob: }"),
    ("nodes: {}", "1:8: nodes: empty; write nodes: {alice: , bob: }"),
    ("nodes: [a, b]", "1:8: nodes: not a mapping; write nodes: {alice: , bob: }"),
    ("nodes: {a: 3}", "1:12: a: not a mapping; write a: one of the keys"),
    (
        HEAD + "links: alice",
        "2:8: links: not a list; write links: [{endpoints: [alice, bob], length: 20 km}]",
    ),
    (HEAD + "links: [alice]", "2:9: not a mapping; write one of the keys name, endpoints, length"),
    (HEAD + "apps: []", "2:7: apps: not a mapping; write apps: {teleport:"),
    (HEAD + "defaults: {memories: 4}", "2:22: memories: not a mapping; write memories: {count: 8"),
    (HEAD + "runtime: {clock: [x]}", "2:18: clock: not a mapping; write clock: {mode: virtual}"),
]

KEYS = [
    (link("lenght: 20 km"), "4:3: unknown key 'lenght'; did you mean 'length'?"),
    (HEAD + "link: []", "2:1: unknown key 'link'; did you mean 'links'?"),
    (HEAD + "zzz: 1", "2:1: unknown key 'zzz'; write one of apps, defaults"),
    (HEAD + "checks: []", "2:1: unknown key 'checks'"),
    (HEAD + "kinds: {hub: {memories: {T1: 1 s}}}", "2:26: unknown key 'T1'; did you mean 't1'?"),
    ("nodes: {memories: {gates: {t1: 1 s}}}", "1:28: unknown key 't1'; write one of"),
    (link("length: 1 km\n  qkd: {detectors: {eficiency: 1}}"), "5:21: unknown key 'eficiency'; did you mean"),
    (HEAD + "links:\n- endpoints: [alice, bob]", "3:3: length: missing; write length: 20 km"),
    (HEAD + "taps: {eve: {at: 1 km}}", "2:13: link: missing; write link: alice-bob"),
    (
        "nodes:\n  alice:\n  bob:\n  alice:\n",
        "4:3: 'alice' is here twice, first in line 2; rename or remove one",
    ),
    (link("length: 1 km\n  length: 2 km"), "5:3: 'length' is here twice, first in line 4"),
    ("nodes: {<<: {a: }}", "1:9: merge keys have no meaning here; put what nodes share under kinds"),
    ("nodes: {[a]: }", "1:9: a key that is not text; write one word"),
    ("nodes: {a: !!python/object:os.system x}", "1:12: the tag 'tag:yaml.org,2002:python/object:os.system'"),
]

VALUES = [
    (link("length: 20"), "4:11: length: '20' has no unit; write length: 20 km (units: m, km)"),
    (link("length: 20 ms"), "4:11: length: 'ms' is not a unit of a length; write length: 20 km"),
    (link("length: -3 km"), "4:11: length: '-3 km' is negative; write length: 20 km"),
    (link("length: .nan km"), "4:11: length: '.nan km' is not a length; write length: 20 km"),
    (link("length: [20 km]"), "4:11: length: not a length; write length: 20 km"),
    (link("velocity: 0 km/s"), "4:13: velocity: '0 km/s' is too small; write velocity: more than 0 km/s"),
    (
        link("velocity: 3e5 km/s"),
        "4:13: velocity: '3e5 km/s' is too large; write velocity: at most 299792.458 km/s",
    ),
    (
        link("fibre: copper"),
        "4:10: fibre: 'copper' is not 'spool', 'deployed' or 'urban'; write fibre: spool",
    ),
    (link("attenuation: 0.2"), "4:16: attenuation: '0.2' has no unit; write attenuation: 0.2 dB/km"),
    (link("insertion_loss: 1.5"), "4:19: insertion_loss: '1.5' has no unit; write insertion_loss: 1.5 dB"),
    (link("classical: {extra_delay: 1}"), "4:28: extra_delay: '1' has no unit; write extra_delay: 1 ms"),
    (
        link("classical: {extra_delay: -1 ms}"),
        "4:28: extra_delay: '-1 ms' is negative; write extra_delay: 300 ms",
    ),
    (link("classical: {jitter: -5 us}"), "4:23: jitter: '-5 us' is negative; write jitter: 300 ms"),
    (link("classical: {jitter: 10 %}"), "4:23: jitter: '%' is not a unit of a time; write jitter: 10 ms"),
    (link("classical: {loss: -1 %}"), "4:21: loss: '-1 %' is negative; write loss: 0.25 or 25 %"),
    (link("classical: {loss: 101 %}"), "4:21: loss: '101 %' is too large; write loss: at most 0.99"),
    (link("classical: {loss: 1}"), "4:21: loss: '1' is too large; write loss: at most 0.99"),
    (link("source: {fidelity: 0.2}"), "4:22: fidelity: '0.2' is too small; write fidelity: at least 0.25"),
    (link("source: {fidelity: 101 %}"), "4:22: fidelity: '101 %' is too large; write fidelity: at most 1"),
    (link("source: {rate: 0 Hz}"), "4:18: rate: '0 Hz' is too small; write rate: more than 0 kHz"),
    (
        link("source: {scheme: magic}"),
        "4:20: scheme: 'magic' is not 'werner', 'single-click'",
    ),
    (link("qkd: {protocol: b92}"), "4:19: protocol: 'b92' is not 'bb84', 'decoy-bb84'"),
    (link("qkd: {misalignment: 2}"), "4:23: misalignment: '2' is too large; write misalignment: at most 1"),
    (HEAD + "seed: abc", "2:7: seed: 'abc' is not a whole number; write seed: 42"),
    (HEAD + "seed: -1", "2:7: seed: '-1' should be greater than or equal to 0; write seed: 42"),
    (HEAD + f"seed: {'9' * 5000}", "2:7: seed: '999"),
    (HEAD + "name: my lab", "2:7: name: 'my lab' is not a name (at most 63 letters"),
    (
        HEAD + "runtime: {launcher: podman}",
        "2:21: launcher: 'podman' is not 'process' or 'docker'; write launcher: docker",
    ),
    (HEAD + "runtime: {broker: nats}", "2:19: broker: 'nats' is not a broker; write broker: auto, embedded"),
    (HEAD + "runtime: {broker: 'mqtt://h:70000'}", "2:19: broker: 'mqtt://h:70000' is not a broker"),
    (HEAD + "runtime: {max_qubits: 14}", "2:23: max_qubits: '14' should be less than or equal to 13"),
    (HEAD + "runtime: {max_qubits: 0}", "2:23: max_qubits: '0' should be greater than or equal to 1"),
    (HEAD + "runtime: {clock: {mode: fast}}", "2:25: mode: 'fast' is not 'real-time' or 'virtual'"),
    (HEAD + "runtime: {clock: {scale: inf}}", "2:26: scale: 'inf' is not a number"),
    (HEAD + "runtime: {clock: {scale: 0}}", "2:26: scale: '0' should be greater than 0"),
    ("nodes: {a: {memories: {count: -1}}}", "1:31: count: '-1' should be greater than or equal to 0"),
    ("nodes: {a: {memories: {count: 1.5}}}", "1:31: count: '1.5' is not a whole number; write count: 8"),
    ("nodes: {a: {memories: {t1: 0 s}}}", "1:28: t1: '0 s' is too small; write t1: more than 0 ms"),
    ("nodes: {a: {gates: {single_fidelity: 0.1}}}", "1:38: single_fidelity: '0.1' is too small"),
    ("nodes: {a: {gates: {two_fidelity: good}}}", "1:35: two_fidelity: 'good' is not a fraction"),
    (HEAD + "taps: {eve: {link: [x]}}", "2:20: link: not a word; write link: alice-bob"),
    (HEAD + "taps: {eve: {enabled: maybe}}", "2:23: enabled: 'maybe' is neither true nor false"),
    (
        "nodes: {a b: }",
        "1:9: 'a b' is not a name (at most 63 letters, digits, - and _, a letter or digit first)",
    ),
    ("nodes: {-a: }", "1:9: '-a' is not a name"),
    (f"nodes: {{{'a' * 64}: }}", "1:9: 'aaa"),
    ("nodes: {control: }", "1:9: the name 'control' is taken by every lab's own parties; write another name"),
    ("nodes: {Monitor: }", "1:9: the name 'Monitor' is taken"),
    (
        link("endpoints: [a]").replace("- endpoints: [alice, bob]\n  ", "- "),
        "3:14: endpoints: too few elements; write",
    ),
    (
        link("endpoints: [a, b, c]").replace("- endpoints: [alice, bob]\n  ", "- "),
        "3:14: endpoints: 3 elements are too",
    ),
]

REFERENCES = [
    (link("length: 1 km").replace("bob]", "bbo]"), "3:22: unknown node 'bbo'; did you mean 'bob'?"),
    (
        link("length: 1 km").replace("bob]", "zoe]"),
        "3:22: unknown node 'zoe'; write one of alice, bob, charlie",
    ),
    (link("length: 1 km").replace("bob]", "alice]"), "3:14: a link from 'alice' to itself; name two nodes"),
    (
        link("length: 1 km\n- {endpoints: [alice, bob], length: 2 km}"),
        "5:3: two links are called 'alice-bob'; give",
    ),
    (
        link("length: 1 km\n- {name: alice-bob, endpoints: [bob, charlie], length: 2 km}"),
        "5:10: two links are called 'alice-bob'; give this one a name of its own",
    ),
    (link("fibre: spool\n  attenuation: 0.3 dB/km"), "4:3: both fibre and attenuation; write one of them"),
    ("nodes: {a: {kind: repeter}}", "1:19: unknown kind 'repeter'; did you mean 'repeater'?"),
    (
        "nodes: {a: {memories: {t1: 1 s, t2: 3 s}}}",
        "1:37: the t2 of 3 s is more than twice the t1 of 1 s in node 'a'",
    ),
    ("nodes: {a: {memories: {t1: 1 s, t2: 3 s}}}", "write a t2 of at most 2 s, or a longer t1"),
    (
        "nodes: {a: {memories: {t1: 1 s}}}\ndefaults: {memories: {t2: 3 s}}",
        "1:28: the t2 of 3 s is more than twice",
    ),
    (
        "nodes: {a: {kind: k}, b: {kind: k}}\nkinds: {k: {memories: {t1: 1 s, t2: 9 s}}}",
        "2:37: the t2 of 9 s",
    ),
    (
        link("length: 5 km\ntaps: {eve: {link: alic-bob}}"),
        "5:20: unknown link 'alic-bob'; did you mean 'alice-bob'?",
    ),
    (
        link("length: 5 km\ntaps: {eve: {link: alice-bob, at: 6 km}}"),
        "5:35: at: 6 km is beyond the end of link",
    ),
    (link("length: 5 km\ntaps: {eve: {link: alice-bob, at: 6 km}}"), "write at: 5 km or less"),
    (
        HEAD + "apps: {t: {program: teleport, roles: {bob: bobb}}}",
        "2:44: unknown node 'bobb'; did you mean 'bob'?",
    ),
    (HEAD + "keys: {compromised: [bobb]}", "2:22: unknown node 'bobb'; did you mean 'bob'?"),
    (
        HEAD + "keys: {parameters: ML-KEM-1024}",
        "2:8: parameters of ML-KEM, which the source qkd does not use",
    ),
    (HEAD + "keys: {source: qkd, parameters: ML-KEM-768}", "write source: hybrid, or leave these out"),
    (
        link("length: 5 km\n  qkd: {protocol: bbm92}"),
        "5:19: protocol: bbm92 measures pairs, and the link has no source of them; write source:",
    ),
    (
        link("length: 5 km\n  qkd: {protocol: decoy-bb84, intensities: [0.5]}"),
        "5:19: protocol: decoy-bb84 takes two or three intensities, and the link's pulses have 1; write",
    ),
    (link("length: 5 km\n  qkd: {protocol: decoy-bb84}"), "and the link's pulses have 0; write intensities:"),
    (
        link("length: 5 km\n  qkd: {protocol: bb84, intensities: [0.5, 0.1]}"),
        "5:19: protocol: bb84 reckons with single photons, and the link's pulses have intensities; leave",
    ),
    (HEAD + "taps: {eve: {link: fibre}}", "2:20: unknown link 'fibre'; there is none here"),
    (HEAD + "apps: {t: {program: ./gone.py}}", "2:21: no program file './gone.py' in "),
]

TEXTS = [
    ("nodes: {a: ", "not YAML: while parsing a flow"),
    ("nodes:\n\ta:\n", "2:1: not YAML: while scanning for the next token, found character '\\t'"),
    ("nodes: a: b\n", "1:9: not YAML: mapping values are not allowed here; check the indentation, quotes"),
    ("nodes: {a: }\n---\nnodes: {b: }\n", "2:1: not YAML: expected a single document"),
    ("nodes: {a: *b}", "1:12: not YAML: found undefined alias"),
    ('nodes: {"\\UFFFFFFFF": }', "1:1: an escape that is no character; remove it"),
    ("a: 1\nb: \x01\n", "2:1: a character that YAML forbids; remove it"),
    ("nodes: &x {a: *x}", "1:8: more than 100000 values with all aliases written out; make a smaller lab"),
    ("nodes: " + "[" * 5000, "1:1: nested too deeply; six levels are enough"),
    ("nodes: {a: {memories: " + "[" * 900 + "]" * 900 + "}}", ""),
]


@pytest.mark.parametrize(("text", "expected"), [*STRUCTURE, *KEYS, *VALUES, *REFERENCES, *TEXTS])
def test_a_mistake_is_told_by_line_and_column_with_what_to_write(
    problems: ReadProblems, text: str, expected: str
) -> None:
    told = problems(text)
    assert any(expected in each for each in told), told


def test_all_problems_of_a_file_are_told_together_in_the_order_of_the_file(problems: ReadProblems) -> None:
    told = problems(
        """\
seed: x
nodes:
  alice: {memories: {t1: 1 s, t2: 3 s}}
  bob: {gates: {two: 0.9}}
links:
  - endpoints: [alice, bbo]
    length: 20
  - {endpoints: [alice, bob], length: 5 km, fibre: spool, attenuation: 1 dB/km}
  - {endpoints: [alice, bob], length: 5 km}
taps:
  eve: {link: alice-bob, at: 6 km, fraction: 2}
apps:
  mine: {program: gone.py, roles: {a: zoe}}
nodes: {}
"""
    )
    positions = [":".join(each.split(":")[:2]) for each in told]
    assert " ".join(positions) == "1:7 3:35 4:17 6:24 7:13 8:45 9:5 11:30 11:46 13:19 13:39 14:1"


def test_a_missing_list_of_nodes_is_not_told_again_for_every_mention_of_one(problems: ReadProblems) -> None:
    told = problems(
        link("length: 1 km\napps: {t: {program: teleport, roles: {a: alice}}}").removeprefix(HEAD)
    )
    assert told == ["1:1: nodes: missing; write nodes: {alice: , bob: }"]
