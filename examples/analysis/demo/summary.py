"""The one line that a finished run prints for machines."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The counts of a run, each taken at its own place.

    Times in seconds from the start of the command.
    """

    files: int
    published: int
    acknowledged: int
    stored: int
    projected: int
    delivered: int
    expected_delivered: int
    redelivered: int
    lost: int
    duplicates: int
    dead_letters: int
    seconds_to_first_event: float | None
    seconds: float
    console_url: str

    @property
    def is_whole(self) -> bool:
        """Whether everything acknowledged arrived everywhere, once."""
        return (
            self.lost == self.duplicates == self.dead_letters == 0
            and self.stored == self.projected == self.acknowledged
            and self.delivered == self.expected_delivered
        )

    def as_json(self) -> dict[str, object]:
        """The fields, for `--json`."""
        return asdict(self)
