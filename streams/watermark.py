"""The low watermark of one partition: a committed offset is never above unfinished work."""


class Watermark:
    """Follows which offsets are in work and says which offset may be committed.

    Offsets are begun in the order of the log and finished in any order. Holes in the offsets
    (compaction, transaction markers) are absent: they are neither unfinished nor finished.
    """

    __slots__ = ("_highest", "_unfinished")

    def __init__(self) -> None:
        self._unfinished: dict[int, None] = {}
        self._highest: int | None = None

    def begin(self, offset: int) -> bool:
        """Take an offset into work.

        False when it was begun before: the record is a repeat, leave it.
        """
        if self._highest is not None and offset <= self._highest:
            return False
        self._unfinished[offset] = None
        self._highest = offset
        return True

    def finish(self, offset: int) -> None:
        """Everything that belongs to this offset is done, receipts included."""
        del self._unfinished[offset]

    @property
    def committable(self) -> int | None:
        """The next offset to read after a restart: the lowest unfinished one.

        None before the first begin.
        """
        if self._highest is None:
            return None
        return next(iter(self._unfinished), self._highest + 1)

    @property
    def unfinished(self) -> int:
        """How many offsets are in work."""
        return len(self._unfinished)
