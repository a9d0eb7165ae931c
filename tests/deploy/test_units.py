"""Quantities are read with their units, and what is not a quantity is answered with the right spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import ValueInvalid
from deploy.units import ATTENUATION, FRACTION, FREQUENCY, LENGTH, LOSS, TIME, VELOCITY, Dimension

DIMENSIONS = (LENGTH, TIME, FREQUENCY, ATTENUATION, LOSS, VELOCITY, FRACTION)


@pytest.mark.parametrize(
    ("dimension", "text", "value"),
    [
        (LENGTH, "20 km", 20_000.0),
        (LENGTH, "20km", 20_000.0),
        (LENGTH, " 350.5 m ", 350.5),
        (LENGTH, "0 m", 0.0),
        (LENGTH, "+.5 km", 500.0),
        (TIME, "25 ns", 25e-9),
        (TIME, "200 us", 200e-6),
        (TIME, "200 \u00b5s", 200e-6),
        (TIME, "200 \u03bcs", 200e-6),
        (TIME, "300 ms", 0.3),
        (TIME, "1 s", 1.0),
        (TIME, "2 min", 120.0),
        (FREQUENCY, "7 Hz", 7.0),
        (FREQUENCY, "10 kHz", 10e3),
        (FREQUENCY, "1e1 MHz", 10e6),
        (FREQUENCY, "1 GHz", 1e9),
        (ATTENUATION, "0.2 dB/km", 0.2),
        (LOSS, "1.5 dB", 1.5),
        (VELOCITY, "200000 km/s", 2e8),
        (VELOCITY, "2e8 m/s", 2e8),
        (FRACTION, "25 %", 0.25),
        (FRACTION, "0.5%", 0.005),
        (FRACTION, "0.25", 0.25),
        (FRACTION, "1", 1.0),
    ],
)
def test_a_quantity_has_its_value_in_the_base_unit(dimension: Dimension, text: str, value: float) -> None:
    assert dimension.parse(text) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("dimension", "text", "what", "instead"),
    [
        (LENGTH, "20", "'20' has no unit", "20 km (units: m, km)"),
        (TIME, "300", "'300' has no unit", "300 ms (units: ns, us, ms, s, min)"),
        (ATTENUATION, "0.2", "'0.2' has no unit", "0.2 dB/km"),
        (LOSS, "-1", "'-1' has no unit", "1 dB"),
        (LENGTH, "20 KM", "'KM' is not a unit of a length", "20 km (units: m, km)"),
        (FREQUENCY, "10 mhz", "'mhz' is not a unit of a frequency", "10 MHz (units: Hz, kHz, MHz, GHz)"),
        (LENGTH, "20 ms", "'ms' is not a unit of a length", "20 km (units: m, km)"),
        (FRACTION, "25 percent", "'percent' is not a unit of a fraction", "25 %"),
        (FRACTION, "0.25 percent", "'percent' is not a unit of a fraction", "0.25"),
        (LENGTH, "-5 km", "'-5 km' is negative", "20 km"),
        (LENGTH, "nan km", "'nan km' is not a length", "20 km"),
        (TIME, "inf", "'inf' is not a time", "300 ms"),
        (LENGTH, "1e999 km", "'1e999 km' is too large", "20 km"),
        (LENGTH, "", "'' is not a length", "20 km"),
        (LENGTH, "20 km 3 m", "'km 3 m' is not a unit of a length", "20 km (units: m, km)"),
        (LENGTH, "\u0665 km", "'\u0665 km' is not a length", "20 km"),
    ],
)
def test_what_is_no_quantity_is_answered_with_the_right_spelling(
    dimension: Dimension, text: str, what: str, instead: str
) -> None:
    with pytest.raises(ValueInvalid) as caught:
        dimension.parse(text)
    assert (caught.value.what, caught.value.instead) == (what, instead)


@pytest.mark.parametrize("dimension", DIMENSIONS, ids=lambda dimension: dimension.name)
def test_every_advice_can_be_followed(dimension: Dimension) -> None:
    for example in dimension.example.split(" or "):
        dimension.parse(example)
    with pytest.raises(ValueInvalid) as caught:
        dimension.parse("3 parsec")
    dimension.parse(caught.value.instead.split(" (")[0])


@given(st.sampled_from(DIMENSIONS), st.text())
def test_any_text_is_a_quantity_or_refused_with_a_short_answer(dimension: Dimension, text: str) -> None:
    try:
        value = dimension.parse(text)
    except ValueInvalid as refused:
        value, answer = 0.0, str(refused)
    else:
        answer = ""
    assert value >= 0.0
    assert len(answer) < 600
    assert "\n" not in answer
