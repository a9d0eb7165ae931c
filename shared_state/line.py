"""The asyncio shell of a client: one session over as many connections as it takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final, Literal, NamedTuple, TypeAlias

from shared_state.conversation import Answered, Conversation, Refused, Welcome
from shared_state.dialling import Dialler, Wire
from shared_state.errors import ServerLost, SharedStateError, WireError
from shared_state.heard_time import HeardTime
from shared_state.wire import Message

CONNECT_WITHIN: Final = 10.0
RETRY_AFTER: Final = 0.02
RESTART_WITHIN: Final = 30.0
"""A server with a journal is given so many wall seconds to come back after its death."""
MAX_UNAPPLIED: Final = 256
"""So many requests are kept for repetition before the server is asked how far it has come."""
CHECK_EVERY: Final = 10.0
PATIENCE: Final = 20.0
"""A server that owes answers is asked for a sign of life so often, and gets so long to give one: wall seconds."""
DELIVERS_QUBIT: Final = ("qubit", "pair", "pairs", "receive")
"""The answers to these are lists whose first element is a qubit."""

HandOver: TypeAlias = Callable[[Callable[[], None]], None]
"""Takes what sets an answer and calls it, now or later."""

_CLOSED: Final = "this side has closed the session."


class _Receiver(asyncio.Protocol):
    """One connection's ears; a connection that was given up is no longer heard."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def data_received(self, data: bytes) -> None:
        self._line.heard(self, data)

    def connection_lost(self, error: Exception | None) -> None:
        self._line.hung_up(self)


class _Question(NamedTuple):
    """A request without an answer yet: who waits for it, and who hands the answer over."""

    answer: asyncio.Future[Message]
    hand_over: HandOver


class Line:
    """A session with the server. ``lost`` resolves, to the error, when the server is gone for good.

    Writes of one iteration of the event loop travel together.
    """

    welcome: Welcome

    def __init__(
        self,
        dialler: Dialler,
        *,
        lab: str,
        name: str,
        token: str,
        role: Literal["node", "oracle"],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dialler = dialler
        self._role = role
        self._name = name
        self._conversation = Conversation(lab=lab, name=name, token=token, role=role)
        self._loop = asyncio.get_running_loop()
        self._monotonic = monotonic
        self._wire: Wire | None = None
        self._receiver: _Receiver | None = None
        self._welcomed: asyncio.Future[Welcome] = self._loop.create_future()
        self._down = asyncio.Event()
        self._heard_at = 0.0
        self._kept = False
        self._unsent: list[bytes] = []
        self._answers: dict[int, _Question] = {}
        self._late: dict[asyncio.Future[Message], Message] = {}
        self.handed_over_by: Callable[[], HandOver] = lambda: _at_once
        self._marked = False
        self._ended = False
        self._gone: ServerLost | None = None
        self.lost: asyncio.Future[ServerLost] = self._loop.create_future()

    async def open(self) -> None:
        """Open the session. Raises AdmissionError and ServerLost."""
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                said = await self._connect()
        except (OSError, TimeoutError) as error:
            raise ServerLost(
                f"no shared-state server answers '{self._name}' at {self._dialler}: {_reason(error)}."
            ) from error
        self._time = HeardTime(self.welcome, said, self._heard_at, self._monotonic)
        try:
            await self._time.ask_again(lambda: self.request("now"))
        except BaseException:  # its caller has no session that it could close
            self._give_up(ServerLost(_CLOSED))
            raise

    def emulated_now(self) -> float:
        """Return the lab's emulated time, as far as this side can tell."""
        return self._time.now()

    async def ask(self, operation: str, *arguments: Message) -> Message:
        """Send a request and wait for its answer. Raises what the server answers, and ServerLost.

        When the caller is cancelled the request is withdrawn, and a qubit that it delivered is discarded.
        """
        request = self._say(operation, list(arguments))
        answer: asyncio.Future[Message] = self._loop.create_future()
        self._answers[request] = _Question(answer, self.handed_over_by())
        try:
            return await answer
        except asyncio.CancelledError:
            self._answers.pop(request, None)
            self._withdraw(request, operation, answer)
            raise
        finally:
            self._late.pop(answer, None)

    def request(self, operation: str, *arguments: Message) -> asyncio.Future[Message]:
        """Send a request that is never withdrawn; return its answer."""
        answer: asyncio.Future[Message] = self._loop.create_future()
        self._answers[self._say(operation, list(arguments))] = _Question(answer, _at_once)
        return answer

    def post(self, operation: str, *arguments: Message) -> None:
        """Send a request that has no answer."""
        self._say(operation, list(arguments))
        if self._conversation.unapplied > MAX_UNAPPLIED and not self._marked:
            self._marked = True
            self._mark().add_done_callback(self._passed)

    @asynccontextmanager
    async def kept_connected(self) -> AsyncIterator[None]:
        """Connect again whenever the connection breaks, for as long as the server's lease, or its restart may take.

        Give a server up that is connected and does not answer.
        """
        self._kept = True
        async with asyncio.TaskGroup() as tasks:
            keepers = [tasks.create_task(self._keep_connected()), tasks.create_task(self._keep_answered())]
            try:
                yield
            finally:
                for keeper in keepers:
                    keeper.cancel()

    async def close(self) -> None:
        """Say goodbye, or nothing when nobody listens."""
        if self._ended:
            return
        self._ended = True
        try:
            if self._wire is not None:
                with suppress(SharedStateError, TimeoutError):
                    async with asyncio.timeout(self.welcome.lease):
                        await self.ask("bye")
        finally:
            self._give_up(ServerLost(_CLOSED))

    def heard(self, receiver: _Receiver, data: bytes) -> None:
        """Take in what a connection has read."""
        if receiver is not self._receiver:
            return
        try:
            events = self._conversation.receive(data)
        except WireError as nonsense:
            self._give_up(ServerLost(f"the server at {self._dialler} does not make sense: {nonsense}"))
            return
        for event in events:
            match event:
                case Answered(request, value, error):
                    self._answer(request, value, error)
                case Welcome():
                    self._heard_at = self._monotonic()
                    self._welcomed.set_result(event)
                case Refused(reason):
                    self._refuse(reason)

    def hung_up(self, receiver: _Receiver) -> None:
        """Note that a connection is gone."""
        if receiver is not self._receiver:
            return
        self._wire = self._receiver = None
        if not self._welcomed.done():
            self._welcomed.set_exception(ConnectionResetError("the connection was closed before the welcome"))
        elif not self._kept:
            lost = f"the connection of '{self._name}' to the server at {self._dialler} was lost."
            self._give_up(ServerLost(lost))
        self._down.set()

    async def _connect(self) -> float:
        """Make a connection and say hello; after the welcome, say again what may not have been heard.

        Return when hello was said.
        """
        self._welcomed = self._loop.create_future()
        self._receiver = receiver = _Receiver(self)
        wire = await self._dialler.dial(receiver)
        said = self._monotonic()
        wire.write(self._conversation.hello())
        try:
            self.welcome = await self._welcomed
        except BaseException:
            wire.close()
            raise
        self._wire = wire
        self._unsent.clear()
        wire.write(self._conversation.outstanding())
        return said

    async def _keep_connected(self) -> None:
        while True:
            await self._down.wait()
            self._down.clear()
            if self._gone is not None or self._ended:
                return
            try:
                async with asyncio.timeout(patience := self._patience()):
                    await self._reconnect()
            except (TimeoutError, SharedStateError) as error:
                reason = str(error) or f"nobody has answered '{self._name}' for {patience:g} s"
                self._give_up(ServerLost(f"the server at {self._dialler} is gone: {reason}."))

    def _patience(self) -> float:
        """Return the wall seconds for which a server is dialled that does not answer."""
        return max(RESTART_WITHIN, self.welcome.lease) if self.welcome.durable else self.welcome.lease

    async def _keep_answered(self) -> None:
        while self._gone is None:
            await asyncio.sleep(CHECK_EVERY)
            if not self._answers or self._gone is not None:
                continue
            # an answer may rightly wait for another node for ever; a mark waits for nobody
            patience = PATIENCE + self.welcome.lease
            answered, _ = await asyncio.wait([self._mark()], timeout=patience)
            if not answered:
                silent = f"no answer to '{self._name}' came for {patience:g} s"
                self._give_up(ServerLost(f"the server at {self._dialler} is silent: {silent}."))

    async def _reconnect(self) -> None:
        while True:
            try:
                await self._connect()
                return
            except OSError:
                # nothing tells when a server is back
                await asyncio.sleep(RETRY_AFTER)

    def _mark(self) -> asyncio.Future[Message]:
        """Ask the server how far it has come."""
        mark = self.request("mark")
        mark.add_done_callback(_heed)
        return mark

    def _say(self, operation: str, arguments: list[Message]) -> int:
        if self._gone is not None:
            raise ServerLost(self._gone.message)
        request, frame = self._conversation.request(operation, arguments)
        if not self._unsent and self._wire is not None:
            self._loop.call_soon(self._flush)
        if self._wire is not None:
            self._unsent.append(frame)
        return request

    def _flush(self) -> None:
        if self._wire is not None and self._unsent:
            self._wire.write(b"".join(self._unsent))
        self._unsent.clear()

    def _answer(self, request: int, value: Message, error: SharedStateError | None) -> None:
        question = self._answers.pop(request, None)
        if question is None or question.answer.done():
            return
        self._late[question.answer] = value
        question.hand_over(partial(self._settle, question.answer, value, error))

    def _settle(
        self, answer: asyncio.Future[Message], value: Message, error: SharedStateError | None
    ) -> None:
        self._late.pop(answer, None)
        if answer.done():
            return
        if error is None:
            answer.set_result(value)
        else:
            answer.set_exception(error)

    def _withdraw(self, request: int, operation: str, answer: asyncio.Future[Message]) -> None:
        if self._gone is not None or self._role == "oracle":
            return  # nothing that the oracle asks for waits or delivers a qubit
        value = self._late.get(answer)
        if not answer.cancelled() and answer.done() and answer.exception() is None:
            # the answer came in the same turn of the loop in which its reader was cancelled
            value = answer.result()
        qubit = value[0] if operation in DELIVERS_QUBIT and isinstance(value, list) else None
        self.post("cancel", request, qubit)

    def _passed(self, _: asyncio.Future[Message]) -> None:
        self._marked = False

    def _refuse(self, error: SharedStateError) -> None:
        if not self._welcomed.done():
            self._welcomed.set_exception(error)
        else:
            self._give_up(ServerLost(f"the server at {self._dialler} has ended the connection: {error}"))

    def _give_up(self, error: ServerLost) -> None:
        """End everything: who waits is told."""
        if self._ended:
            error = ServerLost(_CLOSED)
        self._gone = self._gone or error
        if not self._ended and not self.lost.done():
            self.lost.set_result(error)
        self._down.set()
        if self._wire is not None:
            self._wire.close()
        self._wire = self._receiver = None
        waiting, self._answers = self._answers, {}
        for question in waiting.values():
            if not question.answer.done():
                question.answer.set_exception(ServerLost(error.message))


def _reason(error: OSError) -> str:
    """Say why there is no connection; asyncio leaves some of its errors without a word."""
    if isinstance(error, TimeoutError) and not str(error):
        return f"not within {CONNECT_WITHIN:g} s"
    return str(error) or "it has ended the connection"


def _at_once(settle: Callable[[], None]) -> None:
    settle()


def _heed(mark: asyncio.Future[Message]) -> None:
    if not mark.cancelled():
        mark.exception()  # nobody reads it, and asyncio would complain
