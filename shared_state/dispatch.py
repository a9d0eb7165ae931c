"""From words to deeds: which part of the quantum world does an operation, and how its outcome is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from shared_state.arguments import pack_bits
from shared_state.engine.later import Later
from shared_state.errors import BadRequest, LimitExceeded, NoSuchQubit, NotYours, SharedStateError
from shared_state.intervening import Intervening
from shared_state.narrator import Narrator
from shared_state.session import ANY_RUN, Session
from shared_state.turns import Answer, Herald, Turns, Wake
from shared_state.wire import Message
from shared_state.world.ends import (
    Arrived,
    Delivered,
    DeliveredPairs,
    Detected,
    DetectedTrain,
    MeasuredPairs,
    Outcome,
    Pairs,
)
from shared_state.world.links import Links
from shared_state.world.nature import Nature
from shared_state.world.queues import Ticket


class Request(NamedTuple):
    """One request of a session; as long as it waits, its ticket."""

    session: Session
    number: int
    word: str


class Dispatch:
    """Does what the sessions ask for, and answers them.

    A request that waits is answered when another party does its part or leaves.
    """

    def __init__(self, nature: Nature, turns: Turns, narrator: Narrator) -> None:
        self.nature = nature
        self.turns = turns
        self.narrator = narrator
        self._asked: dict[Request, tuple[str, str]] = {}  # run and link of the requests that wait
        self.links = links = Links(nature, self._settle, self.present)
        self._acts: Mapping[str, Callable[..., Any]] = {
            "gate": nature.gate, "unitary": nature.unitary,
            "discard": nature.discard, "hand_over": nature.hand_over,
            "store": nature.store, "retrieve": nature.retrieve,
            "transmit": links.light.transmit, "emit_pulses": links.light.emit_pulses, "close_run": links.close_run,
            "correct_pairs": links.batches.correct, "discard_pairs": links.batches.discard,
        }  # fmt: skip
        self._findings: Mapping[str, Callable[..., Later[Any]]] = {
            "measure": nature.measure, "bell_measure": nature.bell_measure,
        }  # fmt: skip
        self._waits: Mapping[str, Callable[..., None]] = {
            "pair": links.pairs.pair, "pairs": links.batches.pairs, "receive": links.light.receive,
            "measure_pulses": links.light.measure_pulses, "measure_train": links.trains.measure,
            "measure_directly": links.direct.measure,
        }  # fmt: skip
        self.outside = outside = Intervening(links, turns, narrator, self._plan_refusal)
        self._interventions: Mapping[str, Callable[..., None]] = {
            "set_link": outside.set_link, "change_link": outside.change_link,
            "attach_tap": outside.attach_tap, "detach_tap": outside.detach_tap,
        }  # fmt: skip
        self._views: Mapping[str, Callable[..., Any]] = {
            "discard_handed_over": nature.discard_handed_over,
            "discard_run": nature.discard_run, "discard_others": nature.discard_others,
            "set_tap": links.ends.set_tap, "now": self.now,
        }  # fmt: skip

    def post(self, request: Request, values: Mapping[str, Any]) -> None:
        """Do what has no answer."""
        session = request.session
        if request.word == "cancel":
            self._cancel(session, **values)
        elif request.word == "wake":
            self.turns.plan(max(values["time"], self.turns.now), session.name, Wake())
        elif request.word != "note":
            self._acts[request.word](session.name, **values)

    def answer(self, request: Request, values: Mapping[str, Any], run: str) -> None:
        """Do what has an answer, and answer it, now or when its outcome is known; ``run`` is for the record."""
        session, number, word = request
        told = self.narrator.record.on
        if word in self._waits:
            session.wait(number, word)
            self._asked[request] = (values["run"], values["link"])
            try:
                self._waits[word](request, session.name, **values)
            except Exception:
                self._asked.pop(request, None)
                raise
        elif word == "qubit":
            qubit = self.nature.qubit(session.name, **values)
            session.answer(number, [qubit], qubit)
            if told:
                self.narrator.initialised(values["at"], session.name, qubit, run)
        elif word == "swap_pairs":
            x, z = self.links.batches.swap(session.name, **values)
            session.answer(number, [pack_bits(x), pack_bits(z)])
            if told:
                self.narrator.swapped_pairs(values["at"], session.name, values, run, x, z)
        elif word == "emit_train":
            session.answer(number, list(self.links.trains.emit(session.name, **values)))
        elif word == "recall":
            bits, bases, intensities = self.links.trains.recall(session.name, **values)
            session.answer(number, [pack_bits(bits), pack_bits(bases), intensities.tobytes()])
        elif word == "tally":
            session.answer(number, self.links.trains.tally(session.name, **values).tobytes())
        elif word == "measure_pairs":
            outcomes = self.links.batches.measure(session.name, **values)
            session.answer(number, pack_bits(outcomes))
            if told:
                self.narrator.measured_pairs(values["at"], session.name, values, run, outcomes)
        elif word == "pair_fidelities":
            session.answer(number, self.links.batches.fidelities(**values).tobytes())
        elif word == "density_matrix":
            rho = self.nature.density_matrix(**values)
            session.answer_later(number, word, rho.map(lambda matrix: matrix.tobytes()))
        elif word == "fidelity":
            session.answer_later(number, word, self.nature.fidelity(**values))
        elif word in self._findings:
            outcome = self._findings[word](session.name, **values)
            session.answer_later(number, word, outcome)
            if told:
                self.narrator.measured(values["at"], session.name, values, run, outcome)
        elif word == "tap_report":
            report = self.links.ends.tap_report(**values)
            session.answer(number, [report.pulses, report.kept, report.resent])
        elif word in self._interventions:
            self._interventions[word](session.name, **values)
            session.answer(number, None)
        elif word == "halt":
            self.turns.halt(values["until"], f"{session.name}/{values['who']}", request)
        elif word == "go_on":
            self.turns.go_on(f"{session.name}/{values['who']}")
            session.answer(number, None)
        elif word == "hold":
            self.turns.hold(session.name)
            session.answer(number, self.turns.now)
        elif word == "release":
            session.answer(number, None)
            self.turns.release(session.name)
        elif word in self._views:
            session.answer(number, self._views[word](**values))
        elif word in self._acts:
            session.answer(number, self._acts[word](session.name, **values))
        else:
            session.answer(number, None)

    def refuse_in_turn(self, request: Request, error: SharedStateError, run: str) -> bool:
        """Refuse what an answer would wait for in the asker's next turn, if it takes turns; tell whether it does.

        It may do something else meanwhile, and hears of this, too, at a moment that does not depend on the machine. Who
        has too much waiting already hears of it at once.
        """
        session, number, word = request
        if word not in self._waits or session.role != "node" or session.name not in self.turns:
            return False
        if number not in session.waiting:
            try:
                session.wait(number, word)
            except LimitExceeded:
                return False
        kept = bool(error.operation)  # it has one already that failed before, and was kept for this answer
        self._plan_refusal(session.name, number, error, word, run, failed_in=run if kept else None)
        return True

    def run_of(self, session: Session, values: Mapping[str, Any]) -> str:
        """Return the run that an operation belongs to, as far as its arguments tell; the oracle works for all."""
        if session.role == "oracle":
            return ANY_RUN
        if "run" in values:
            return str(values["run"])
        single = [values[key] for key in ("qubit", "first", "second", "batch") if key in values]
        for qubit in values.get("qubits", single):
            with suppress(NotYours, NoSuchQubit):
                if qubit < 0:  # a batch
                    return self.links.batches.run_of(session.name, qubit)
                return self.nature.ledger.held_by(session.name, qubit).run
        return ANY_RUN

    def _cancel(self, session: Session, request: int, delivered: int | None) -> None:
        """Withdraw a request; a qubit that its answer has delivered meanwhile is discarded."""
        word = session.waiting.pop(request, None)
        if word is not None:
            self._asked.pop(Request(session, request, word), None)
        planned = self.turns.withdraw(session.name, request)
        if planned is not None:
            if planned.error is not None and planned.failed_in is not None:
                session.keep(planned.error, planned.failed_in)
            delivered = planned.qubit
        elif word is not None:
            self.links.withdraw(Request(session, request, word))
            return
        elif delivered is None:
            delivered = session.delivered_by(request)
        if delivered is not None:
            self.links.take_back(session.name, delivered)

    def _plan_refusal(
        self,
        node: str,
        number: int,
        error: SharedStateError,
        word: str,
        run: str,
        failed_in: str | None = None,
    ) -> None:
        """Let a request of a party that takes turns be refused now."""
        error.operation = error.operation or word
        event = self.narrator.refusal(word, error, run) if self.narrator.record.on else None
        self.turns.plan(
            self.turns.now, node, Answer(number, None, error=error, event=event, failed_in=failed_in)
        )

    def present(self, node: str) -> float:
        """Return the emulated time at which a party is, as far as the server can tell."""
        return self.turns.now if node in self.turns else self.nature.clock.now()

    def now(self) -> float:
        """Return the lab's emulated time, as far as anybody has stated one."""
        return max(self.turns.now, self.nature.clock.now())

    def _settle(self, ticket: Ticket, outcome: Outcome) -> None:
        """Answer a request that has waited: at once, or to a party that takes turns when the outcome is there."""
        assert isinstance(ticket, Request)
        session, number, word = ticket
        run, link = self._asked.pop(ticket)
        if isinstance(outcome, SharedStateError):
            if session.name in self.turns:
                self._plan_refusal(session.name, number, outcome, word, run)
                return
            outcome.operation = word
            session.refuse(number, outcome)
            self.narrator.refused(self.now(), session.name, word, outcome, run)
            return
        time, value, qubit = _told(outcome)
        event = self.narrator.delivery(outcome, run, link) if self.narrator.record.on else None
        if session.name in self.turns:
            herald = Herald(link, word, run) if isinstance(outcome, Pairs) else None
            answer = Answer(number, value, qubit, event=event, herald=herald)
            try:
                self.turns.plan(max(time, self.turns.now), session.name, answer)
            except BadRequest as beyond:  # virtual time ends before that
                if qubit is not None:
                    self.links.take_back(session.name, qubit)
                self._plan_refusal(session.name, number, beyond, word, run)
            return
        session.answer(number, value, qubit)
        if event is not None:
            self.narrator.tell(time, session.name, event)

    def forget(self, session: Session) -> None:
        """Forget for what a session that has ended was waiting."""
        for request in [request for request in self._asked if request.session is session]:
            del self._asked[request]


def _told(
    outcome: Delivered | DeliveredPairs | MeasuredPairs | Arrived | Detected | DetectedTrain,
) -> tuple[float, Message, int | None]:
    """Return when an outcome is there, what is said of it, and the qubit that it delivers."""
    match outcome:
        case Delivered() | Arrived():
            return outcome.time, list(outcome), outcome.qubit
        case DeliveredPairs(batch, first, times):
            return float(times[-1]), [batch, first, times.tobytes()], batch
        case MeasuredPairs(bases, bits, times):
            return float(times[-1]), [bases.tobytes(), pack_bits(bits), times.tobytes()], None
        case Detected(clicked, bits, time):
            return time, [pack_bits(clicked), pack_bits(bits), time], None
        case DetectedTrain(pulses, indices, bases, bits, time):
            return time, [pulses, indices.tobytes(), pack_bits(bases), pack_bits(bits), time], None
