"""The low watermark of one partition: a committed offset is never above unfinished work."""


class Watermark:
    """Follows which stretches of offsets are in work and says which offset may be committed.

    Stretches are begun in the order of the log and finished in any order. Holes in the offsets
    (compaction, transaction markers) are absent: they are neither unfinished nor finished.
    """

    __slots__ = ("_highest", "_unfinished")

    def __init__(self) -> None:
        self._unfinished: dict[int, None] = {}
        self._highest: int | None = None

    def begin(self, first: int, last: int) -> None:
        """Take the offsets from `first` to `last` into work, above all that were begun before."""
        assert self._highest is None or first > self._highest, "offsets are begun once, in order"
        self._unfinished[first] = None
        self._highest = last

    def finish(self, first: int) -> None:
        """All work of the stretch that began at `first` is done, receipts included."""
        del self._unfinished[first]

    @property
    def committable(self) -> int | None:
        """The next offset to read after a restart: the lowest unfinished one.

        None before the first begin.
        """
        if self._highest is None:
            return None
        return next(iter(self._unfinished), self._highest + 1)
