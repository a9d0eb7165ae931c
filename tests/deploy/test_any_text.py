"""Whatever a text is, it is a lab or an invalid one, and nothing else happens."""

from __future__ import annotations

from collections.abc import Callable

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.errors import LabFileInvalid
from deploy.labfile import AppKeys, ClockKeys, LabFile
from deploy.link_keys import LinkKeys, TapKeys
from deploy.node_keys import MemoryKeys, NodeKeys
from deploy.topology import Lab

ReadLab = Callable[[str], Lab]

_SECTIONS = (LabFile, LinkKeys, NodeKeys, MemoryKeys, TapKeys, AppKeys, ClockKeys)
_WORDS = st.sampled_from(
    ["alice", "bob", "alice-bob", *(key for section in _SECTIONS for key in section.model_fields)]
)
_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), _WORDS,
    st.sampled_from(["20 km", "3 s", "1 ms", "10 kHz", "0.3", "5 %", "werner", "virtual", "./x.py"]),
)  # fmt: skip
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_WORDS | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
_LABS = st.fixed_dictionaries(
    {"nodes": st.dictionaries(st.sampled_from(["alice", "bob"]), _VALUES, max_size=2) | _VALUES},
    optional={
        key: _VALUES | st.lists(_VALUES, max_size=2)
        for key in ("links", "taps", "apps", "defaults", "runtime")
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(st.one_of(_VALUES, _LABS).map(lambda value: yaml.safe_dump(value, allow_unicode=True)) | st.text())
def test_any_text_is_a_lab_or_invalid_and_nothing_else(read: ReadLab, text: str) -> None:
    try:
        lab = read(text)
    except LabFileInvalid as invalid:
        messages = [each.message for each in invalid.problems]
    else:
        assert lab.nodes
        return
    assert messages
    assert not any("\n" in each for each in messages)
