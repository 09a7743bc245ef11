"""Errors of those who look after failed events.

StreamsError
├── LetterNotFound     no failed event of this id waits anywhere
├── LetterIsBehind     an earlier event of its aggregate has to be done first
├── LetterNotRedriven  nobody takes such a letter up again
├── LetterWithoutEvent its bytes are no event whose data could be replaced
└── OrdersOpen         no worker has carried out what was ordered: retryable
"""

from collections.abc import Sequence
from typing import ClassVar, Final

from streams.errors import StreamsError
from streams.parking.letter import Letter

SHOWN: Final = 3
"""How many ids a message names."""


class LetterNotFound(StreamsError):
    """No failed event of this id waits anywhere."""

    code = "streams.letter_not_found"
    remedy = (
        "Look at `wundr dlq list`; what was handled or dropped meanwhile is not there any more."
    )

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        super().__init__(f"no letter and no event of a letter is called {_some(self.names)}")


class LetterIsBehind(StreamsError):
    """An earlier event of the same aggregate has failed and has to be done first."""

    code = "streams.letter_is_behind"
    remedy = "Redrive, edit or drop the letter that it waits behind."

    def __init__(self, letter: Letter, head: Letter | None) -> None:
        waits_for = "an earlier one" if head is None else head.id
        super().__init__(f"{letter.id} has not failed itself: it waits behind {waits_for}")


class LetterNotRedriven(StreamsError):
    """Nobody takes up such a letter again."""

    code = "streams.letter_not_redriven"
    remedy = "Drop it once its producer sends something better; the store keeps no broken bytes."

    def __init__(self, letter: Letter) -> None:
        super().__init__(f"{letter.id} is a letter of {letter.group}, which redrives none")


class LetterWithoutEvent(StreamsError):
    """The bytes of a letter are no event whose data could be replaced."""

    code = "streams.letter_without_event"
    remedy = "Look at it with `wundr dlq show`, publish a right event instead, and drop it."

    def __init__(self, letter: Letter, reason: str) -> None:
        super().__init__(f"{letter.id} holds no event that can be edited: {reason}")


class OrdersOpen(StreamsError):
    """Nobody has carried out some orders yet."""

    code = "streams.orders_open"
    retryable: ClassVar[bool] = True
    remedy = (
        "Start a worker of the app with `wundr worker`: the orders wait in `wundr.control` for it."
    )

    def __init__(self, letter_ids: Sequence[str], patience_s: float) -> None:
        self.letter_ids = tuple(letter_ids)
        super().__init__(
            f"within {patience_s:g} s no worker has carried out what was ordered about "
            + _some(self.letter_ids)
        )


def _some(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
