from __future__ import annotations

import pytest

from broker.errors import InvalidName
from broker.topics import AnnouncementTopic, EnvelopeTopic, parse, valid_name


@pytest.mark.parametrize(
    "topic", [EnvelopeTopic("lab", "a", "b-1", "qkd_2"), AnnouncementTopic("L", "a", "x")]
)
def test_a_topic_is_parsed_as_it_was_built(topic: EnvelopeTopic | AnnouncementTopic) -> None:
    assert parse(str(topic)) == topic


@pytest.mark.parametrize(
    "topic",
    ["", "lab", "lab/a/to/b", "lab/a/to/b/p/q", "lab/a/pub", "lab/+/to/b/p", "lab/a/at/b/p", "/a/pub/x"],
)
def test_what_is_no_topic_of_a_lab_is_not_parsed(topic: str) -> None:
    assert parse(topic) is None


@pytest.mark.parametrize("name", ["a", "Alice", "0", "trusted-node_3", "a" * 64])
def test_a_name_for_topics_is_accepted(name: str) -> None:
    assert valid_name(name) == name


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "a#", "-a", "_a", "a b", "é", "a\n", "a" * 65])
def test_a_name_that_topics_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(InvalidName, match="cannot name a node"):
        valid_name(name, "node")
