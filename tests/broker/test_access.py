from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.access import AccessRule, covers

RULE = AccessRule("lab", "monitor")
levels = st.sampled_from(["a", "b", "+"])
filters = st.tuples(st.lists(levels, min_size=1, max_size=4), st.sampled_from([[], ["#"]])).map(
    lambda parts: "/".join(parts[0] + parts[1])
)
topics = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=5).map("/".join)


def matches(topic_filter: str, topic: str) -> bool:
    """Match as MQTT 3.1.1 section 4.7 has it, by another road than the code: as a regular expression."""
    pattern = re.escape(topic_filter).replace(r"\+", "[^/]*").replace("/\\#", "(/.*)?").replace("+", "*")
    return re.fullmatch(pattern.replace("[^/]**", "[^/]*"), topic) is not None


@pytest.mark.parametrize("topic", ["lab/alice/to/bob/teleport", "lab/alice/pub/status"])
def test_a_party_publishes_below_its_own_name_only(topic: str) -> None:
    assert RULE.may_publish("alice", topic)
    assert not RULE.may_publish("alic", topic)
    assert not RULE.may_publish("bob", topic)
    assert not RULE.may_publish("monitor", topic)


@pytest.mark.parametrize(
    "topic",
    ["lab/alice", "lab/alice/x", "lab/alice/#", "lab/alice/to/#", "lab/alice/pub/+", "other/alice/pub/x"],
)
def test_a_party_publishes_to_parties_and_to_all_and_nowhere_else(topic: str) -> None:
    assert not RULE.may_publish("alice", topic)


@pytest.mark.parametrize("topic", ["lab/alice/pub/events", "lab/alice/to/bob/x", "lab/bob/pub/status"])
def test_only_a_partys_own_status_is_kept(topic: str) -> None:
    assert RULE.may_retain("alice", "lab/alice/pub/status")
    assert not RULE.may_retain("alice", topic)


@pytest.mark.parametrize("topic_filter", ["lab/+/to/alice/#", "lab/bob/to/alice/bb84", "lab/+/pub/#"])
def test_a_party_reads_its_inbox_and_announcements(topic_filter: str) -> None:
    assert RULE.may_subscribe("alice", topic_filter)


@pytest.mark.parametrize(
    "topic_filter",
    ["#", "lab/#", "+/+/to/alice/#", "lab/+/to/bob/#", "lab/+/to/+/#", "lab/+/+/alice/#", "$SYS/#"],
)
def test_a_party_reads_nothing_else(topic_filter: str) -> None:
    assert not RULE.may_subscribe("alice", topic_filter)


def test_the_monitor_reads_its_lab_and_no_other() -> None:
    assert RULE.may_subscribe("monitor", "lab/#")
    assert RULE.may_subscribe("monitor", "lab/+/to/bob/#")
    assert not RULE.may_subscribe("monitor", "other/#")
    assert not RULE.may_subscribe("monitor", "#")


@given(granted=filters, asked=filters, topic=topics)
def test_a_filter_that_is_covered_matches_nothing_else(granted: str, asked: str, topic: str) -> None:
    if covers(granted, asked) and matches(asked, topic):
        assert matches(granted, topic)
