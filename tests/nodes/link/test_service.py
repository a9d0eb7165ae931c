"""The link service: who gets which pairs, and that nobody's places are used by another or twice."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nodes.link.service import Ask, Create, Err, Failure, Instruction, LinkService, Ok, Withdraw


def test_a_request_asks_for_as_many_units_as_it_has_places() -> None:
    assert LinkService("l").create(Create("p"), 3) == [Ask("p")] * 3


def test_a_request_for_fewer_units_than_places_asks_for_these_only() -> None:
    service = LinkService("l")
    assert service.create(Create("p", number=2), 5) == [Ask("p")] * 2
    service.heralded("p", "l/0", 0.0)
    assert service.freed("p") == []


def test_a_heralded_unit_is_told_to_its_purpose_and_keeps_its_place_until_it_is_freed() -> None:
    service = LinkService("l")
    service.create(Create("p"), 1)
    assert service.heralded("p", "l/0", 0.5) == [Ok("p", "l/0", 0.5)]
    assert service.freed("p") == [Ask("p")]


def test_a_request_whose_places_are_all_held_does_not_keep_another_one_from_asking() -> None:
    service = LinkService("l")
    service.create(Create("p"), 1)
    service.heralded("p", "l/0", 0.0)
    assert service.create(Create("q"), 2) == [Ask("q")] * 2
    service.heralded("q", "l/1", 0.0)
    assert service.freed("q") == [Ask("q")]


def test_a_second_request_of_one_purpose_is_refused_while_the_first_one_stands() -> None:
    service = LinkService("l")
    service.create(Create("p"), 1)
    with pytest.raises(ValueError, match="link l has a request of purpose p already"):
        service.create(Create("p", number=1), 1)
    service.close("p")
    assert service.create(Create("p"), 1) == [Ask("p")]


@pytest.mark.parametrize(
    ("create", "places", "reason"),
    [
        (Create("p"), 0, "at least one place"),
        (Create("p", batch=0), 1, "one pair"),
        (Create("p", number=0), 1, "at least one unit"),
    ],
)
def test_a_request_that_cannot_be_is_refused_and_does_not_stand(
    create: Create, places: int, reason: str
) -> None:
    service = LinkService("l")
    with pytest.raises(ValueError, match=reason):
        service.create(create, places)
    assert "p" not in service


def test_a_unit_that_nobody_asked_for_raises() -> None:
    service = LinkService("l")
    service.create(Create("p"), 1)
    service.heralded("p", "l/0", 0.0)
    with pytest.raises(ValueError, match="made pair l/1, which p has not asked for"):
        service.heralded("p", "l/1", 0.0)


def test_a_place_that_is_freed_twice_raises() -> None:
    service = LinkService("l")
    service.create(Create("p"), 1)
    with pytest.raises(ValueError, match="p has freed a place of link l twice"):
        service.freed("p")


def test_a_request_that_the_link_refuses_is_over_and_told_why() -> None:
    service = LinkService("l")
    service.create(Create("p"), 2)
    reason = "no setting reaches this fidelity"
    over = [Withdraw("p"), Err("p", Failure.UNSUPPORTED, reason)]
    assert service.refused("p", Failure.UNSUPPORTED, reason) == over
    assert "p" not in service


def test_those_whose_deadline_has_passed_are_over_and_no_others() -> None:
    service = LinkService("l")
    for purpose, deadline in (("p", 1.0), ("q", 2.0), ("r", 3.0)):
        service.create(Create(purpose, deadline=deadline), 1)
    service.create(Create("s"), 1)
    assert service.passed(0.5) == []
    over = service.passed(2.0)
    assert [type(each) for each in over] == [Withdraw, Err] * 2
    assert [each.purpose for each in over] == ["p", "p", "q", "q"]
    assert over[1] == Err("p", Failure.TIMEOUT, "its deadline passed at 2 s")
    assert [purpose for purpose in "pqrs" if purpose in service] == ["r", "s"]
    assert service.passed(2.0) == []


def test_late_events_of_a_closed_request_change_nothing() -> None:
    service = LinkService("l")
    service.create(Create("p"), 2)
    service.heralded("p", "l/0", 0.0)
    assert service.close("p") == [Withdraw("p")]
    assert service.heralded("p", "l/1", 0.0) == []
    assert service.freed("p") == []
    assert service.refused("p", Failure.LINK_DOWN, "") == []
    assert service.close("p") == []
    assert "p" not in service


@dataclass
class Books:
    """What a request has, counted from outside."""

    create: Create
    places: int
    asked: int = 0
    held: int = 0
    came: int = 0


class Link(RuleBasedStateMachine):
    """Any requests, heralds, frees and ends, in any order, beside books that are kept of them."""

    def __init__(self) -> None:
        super().__init__()
        self.service = LinkService("l")
        self.books: dict[str, Books] = {}
        self.over: set[str] = set()
        self.count = 0

    def enter(self, instructions: list[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case Ask(purpose):
                    self.books[purpose].asked += 1
                case Ok(purpose, pair, _):
                    assert pair == f"l/{self.count}"
                    self.books[purpose].asked -= 1
                    self.books[purpose].held += 1
                    self.books[purpose].came += 1
                case Withdraw(purpose):
                    del self.books[purpose]
                    self.over.add(purpose)
                case Err(purpose):
                    assert purpose in self.over

    @rule(
        number=st.none() | st.integers(1, 5),
        places=st.integers(1, 4),
        deadline=st.integers(1, 10),
    )
    def create(self, number: int | None, places: int, deadline: int) -> None:
        purpose = f"p{len(self.books) + len(self.over)}"
        create = Create(purpose, number=number, deadline=float(deadline))
        self.books[purpose] = Books(create, places)
        self.enter(self.service.create(create, places))

    @precondition(lambda self: any(books.asked for books in self.books.values()))
    @rule(data=st.data())
    def herald(self, data: st.DataObject) -> None:
        asking = [purpose for purpose, books in self.books.items() if books.asked]
        self.count += 1
        self.enter(self.service.heralded(data.draw(st.sampled_from(asking)), f"l/{self.count}", 0.0))

    @precondition(lambda self: any(books.held for books in self.books.values()))
    @rule(data=st.data())
    def free(self, data: st.DataObject) -> None:
        holding = [purpose for purpose, books in self.books.items() if books.held]
        purpose = data.draw(st.sampled_from(holding))
        self.books[purpose].held -= 1
        self.enter(self.service.freed(purpose))

    @precondition(lambda self: self.books)
    @rule(data=st.data(), refused=st.booleans())
    def end(self, data: st.DataObject, refused: bool) -> None:
        purpose = data.draw(st.sampled_from(list(self.books)))
        self.enter(
            self.service.refused(purpose, Failure.LINK_DOWN, "") if refused else self.service.close(purpose)
        )

    @precondition(lambda self: self.over)
    @rule(data=st.data())
    def come_late(self, data: st.DataObject) -> None:
        purpose = data.draw(st.sampled_from(sorted(self.over)))
        assert self.service.heralded(purpose, "l/late", 0.0) == []
        assert self.service.freed(purpose) == []
        assert self.service.close(purpose) == []

    @rule(now=st.integers(0, 3))
    def pass_time(self, now: int) -> None:
        late = {purpose for purpose, books in self.books.items() if books.create.deadline <= now}
        self.enter(self.service.passed(now))
        assert late <= self.over

    @invariant()
    def every_request_asks_for_all_that_it_may_and_for_no_more(self) -> None:
        for purpose, books in self.books.items():
            assert purpose in self.service
            room = books.places - books.held
            number = books.create.number
            assert books.asked == (room if number is None else min(room, number - books.came))
        assert not any(purpose in self.service for purpose in self.over)


TestLink = Link.TestCase
TestLink.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
