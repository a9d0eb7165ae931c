"""Everyone's standing with the quantum world: the sessions, what they ask for, and what becomes of it.

A function of what is done to it: no connection is read here, no wall clock but the lab's own, and no random number is
drawn but from Nature's dice. Doing the same again gives the same again, which is what the journal lives on.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any, Final, Literal

from shared_state.arguments import time
from shared_state.audience import ASKED
from shared_state.clock import LabClock, VirtualClock
from shared_state.config import WorldConfig
from shared_state.dice import Dice
from shared_state.dispatch import Dispatch, Request
from shared_state.engine.backlog import Account
from shared_state.errors import BadRequest, InternalError, RequestError, SharedStateError
from shared_state.narrator import Narrator
from shared_state.record import Event, Record
from shared_state.session import ANY_RUN, Session
from shared_state.turns import Answer, Arrival, Due, Stalled, Turns
from shared_state.vocabulary import OPERATIONS, look_up
from shared_state.wire import Message
from shared_state.world.nature import Nature

_ALWAYS_ANSWERED: Final = ("mark", "bye", "turn")
"""These report no earlier failure: nobody reads their answers."""

_log = logging.getLogger(__name__)


class Standing:
    """The quantum world and all sessions with it, by role and name."""

    def __init__(self, world: WorldConfig, clock: LabClock, dice: Dice) -> None:
        self.nature = Nature(world, clock, dice)
        self.sessions: dict[tuple[str, str], Session] = {}
        self.record = Record()
        self.turns = Turns(self._grant, self._rest, self._halt)
        self._narrator = Narrator(self.record, len(world.nodes))
        self._dispatch = Dispatch(self.nature, self.turns, self._narrator)
        self._closing_record: list[Request] = []
        self._awaiting_loss: list[Request] = []
        self._ended_turns: dict[str, int] = {}
        self._control_parties: dict[str, int] = {}
        self._accounts: dict[tuple[str, str], Account] = {}

    def begin(self, role: Literal["node", "oracle"], name: str, identity: str) -> Session:
        """Begin a session; one of the same name that waited for its return has ended by that."""
        former = self.sessions.get((role, name))
        if former is not None:
            self.end(former)
        session = Session(identity, name, role, None)
        # who comes back under the same name waits for what it has left to do
        session.account = self._accounts.setdefault((role, name), session.account)
        self.sessions[role, name] = session
        if role == "node":
            self.nature.presence.arrive(name)
        return session

    def end(self, session: Session, *, by_itself: bool = False, given_up: str = "") -> None:
        """End a session: a node's departure, and whatever the last referee holds.

        ``by_itself``: it has said bye; ``given_up``: the story of why it is not waited for any more.
        """
        del self.sessions[session.role, session.name]
        self.nature.state.charge(session.account)
        if session.connection is not None:
            session.connection.close()
        if session.role == "node":
            self.nature.presence.depart(session.name)
            self._dispatch.links.depart(session.name)
            self._dispatch.forget(session)
            if not (by_itself and isinstance(self.nature.clock, VirtualClock)):
                departure = "node.left" if by_itself else "node.lost"
                self._narrator.tell(self._dispatch.now(), session.name, Event(ANY_RUN, departure, {}))
            self._ended_turns.pop(session.name, None)
            if given_up:
                for oracle, number, _ in self._awaiting_loss:
                    oracle.answer(number, [session.name, given_up])
                self._awaiting_loss.clear()
            self.turns.leave(session.name)
            return
        self.turns.release(session.name)
        self.turns.abandon(session.name)
        if not any(role == "oracle" for role, _ in self.sessions):
            for holding in self.nature.ledger.of_referee():
                self.nature.drop(holding)

    def believed(self, word: str, arguments: list[Message]) -> list[Message]:
        """Let a request say the time that counts, which must not depend on when it is read again."""
        if word not in OPERATIONS or "at" not in OPERATIONS[word].takes or not arguments:
            return arguments
        try:
            at = time(arguments[0])
        except ValueError:
            return arguments  # the operation will say what is wrong with it
        clock, from_outside = self.nature.clock, OPERATIONS[word].role == "oracle"
        return [clock.heard(at) if from_outside else clock.believe(at), *arguments[1:]]

    def take(self, session: Session, number: int, received: int, word: str, arguments: list[Message]) -> None:
        """Apply a request once; the client has heard the answers up to ``received``."""
        session.received = received
        self.nature.state.charge(session.account)
        self._apply(Request(session, number, word), arguments)
        session.acknowledge(received)

    def _apply(self, request: Request, arguments: list[Message]) -> None:
        """Apply a request once; whatever it raises is its answer, or is kept for the next one."""
        session, number, word = request
        run = ANY_RUN
        try:
            values = look_up(word, session.role).read(arguments)
            if "at" in values:
                self.nature.clock.check(values["at"])
                self.turns.check(session.name, values["at"])
            told = self.record.on and self._narrator.wants(word) and not self._restores_a_tap(word, values)
            if told or not OPERATIONS[word].answered:
                run = self._dispatch.run_of(session, values)
            at = float(values["at"]) if "at" in values else self._dispatch.now() if told else 0.0
            if OPERATIONS[word].answered:
                self._answer(request, values, run)
            else:
                self._dispatch.post(request, values)
            if told:
                self._narrator.done(at, session.name, word, values, run)
        except SharedStateError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - a fault met by one request must not end the lab for all
            _log.exception("request %s of %s met a fault", word, session.name)
            failure = InternalError(f"the server met a fault ({error!r}); its log tells the story.")
        else:
            return
        if self._dispatch.refuse_in_turn(request, failure, run):
            return
        if self._narrator.wants(word):
            self._narrator.refused(self._dispatch.present(session.name), session.name, word, failure, run)
        failure.operation = failure.operation or _title(word, arguments)
        if word in OPERATIONS and not OPERATIONS[word].answered:
            session.keep(failure, run)
        else:
            session.refuse(number, failure)

    def _answer(self, request: Request, values: dict[str, Any], run: str) -> None:
        session, number, word = request
        failure = None
        if session.has_failures and word not in _ALWAYS_ANSWERED:
            failure = session.take_failure(self._dispatch.run_of(session, values))
        if failure is not None:
            # what cleans up does so in any case, and then reports
            if word == "close_run":
                self._dispatch.links.close_run(session.name, str(values["run"]))
            elif word == "discard":
                with suppress(RequestError):
                    self._dispatch.nature.discard(session.name, values["at"], values["qubit"])
            raise failure
        if word == "census":
            session.answer(number, self._census())
        elif word == "turn":
            self._end_turn(request, values)
        elif word == "take_over":
            session.answer(number, self._take_over(session, values["at"]))
        elif word in ASKED:  # and no audience has heard it
            raise BadRequest(
                "this server keeps no events for who asks: 'events_kept' in its configuration is 0."
            )
        elif word == "loss":
            self._awaiting_loss.append(request)
        elif word == "close_record":
            self._closing_record.append(request)
            if self.turns.at_rest:
                self._rest()
        else:
            self._dispatch.answer(request, values, run)
        if word == "bye":
            self.end(session, by_itself=True)

    def _take_over(self, session: Session, at: float) -> int:
        """Let a session be the control party's; return how many there were before, whose doings are undone."""
        parties = self._control_parties
        if session.identity not in parties:
            parties[session.identity] = len(parties)
            if len(parties) > 1:
                self._dispatch.outside.undo(session.name, at)
        return parties[session.identity]

    def _end_turn(self, request: Request, values: dict[str, Any]) -> None:
        """End a node's turn, unless there is something that it had not heard when it did so."""
        session, number, _ = request
        if not isinstance(self.nature.clock, VirtualClock):
            raise BadRequest("nobody takes turns in real time: the clock runs by itself.")
        self.nature.clock.shared = True
        self.turns.join(session.name)
        for despatch in values["despatched"]:
            recipient, arrives_at, *rest = despatch
            self.turns.plan(arrives_at, recipient, Arrival(session.name, *rest))
        if session.unheard:
            session.answer(number, [self.turns.now, [], "", self.turns.count])
            return
        self._ended_turns[session.name] = number
        self.turns.end(session.name, values["until"], values["waits"])

    def _grant(self, node: str, time: float, due: list[Due]) -> None:
        """Give a node the turn: first the outcomes that are due, then the turn itself with all else."""
        session = self.sessions["node", node]
        arrivals: list[Message] = []
        stalled = ""
        for item in due:
            match item:
                case Answer(request, value, qubit, error, event):
                    if error is None:
                        session.answer(request, value, qubit)
                    else:
                        session.refuse(request, error)
                    if event is not None:
                        self._narrator.tell(time, node, event)
                case Arrival(sender, about, sequence):
                    arrivals.append([sender, about, sequence])
                    if self.record.on:
                        self._narrator.delivered(time, node, item)
                case Stalled(stalled):
                    self._narrator.tell(time, node, Event(ANY_RUN, "lab.stalled", {"story": stalled}))
        session.answer(self._ended_turns.pop(node), [time, arrivals, stalled, self.turns.count])

    def _halt(self, ticket: object, time: float) -> None:
        """Tell who has asked for it that time stands still."""
        assert isinstance(ticket, Request)
        ticket.session.answer(ticket.number, time)

    def _restores_a_tap(self, word: str, values: dict[str, Any]) -> bool:
        """Tell whether a tap is set back to what the lab file says, in virtual time.

        That is done at the end of a run, when somebody on the wall finds that it is over.
        """
        if word != "set_tap" or not isinstance(self.nature.clock, VirtualClock):
            return False
        tap = self.nature.world.taps.get(values["name"])
        return tap is not None and tap.enabled == values["enabled"]

    def _rest(self) -> None:
        """Close the record for whoever has asked for that: nothing more happens by itself."""
        for session, number, _ in self._closing_record:
            session.answer(number, [self.record.count, self.record.failure])
            self.record.on = False
        self._closing_record.clear()

    def durations(self, session: Session) -> list[Message]:
        """Return how long the node's own operations take: one qubit, two, readout, initialisation."""
        if session.role != "node":
            return [0.0, 0.0, 0.0, 0.0]
        gates = self.nature.world.nodes[session.name].gates
        durations = (
            gates.single_duration, gates.two_duration, gates.readout_duration, gates.initialisation_duration
        )  # fmt: skip
        return [float(duration) for duration in durations]

    def _census(self) -> list[Message]:
        state, ledger, queues = self.nature.state, self.nature.ledger, self._dispatch.links.queues
        batches, held = self._dispatch.links.batches, dict[str, Message](ledger.counts())
        return [
            len(state) + batches.qubits(),
            state.clusters + batches.clusters(),
            held,
            len(ledger.of_referee()),
            ledger.reserved(),
            queues.light(),
            len(self.sessions),
            len(queues),
        ]


def _title(word: str, arguments: list[Message]) -> str:
    """Name an operation as its user knows it: a gate by the gate."""
    match word, arguments:
        case "gate", [_, str(gate), *_]:
            return f"gate {gate}"
    return word
