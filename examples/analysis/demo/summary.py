"""The one line that a finished run prints for machines."""

from dataclasses import asdict, dataclass

from examples.analysis.demo.repair import ChaosCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The counts of a run, each taken at its own place.

    Times in seconds from the start of the command. `dead_letters` are events that are not done at
    the end; `chaos` is None where nothing was broken on purpose.
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
    chaos: ChaosCounts | None = None

    @property
    def is_whole(self) -> bool:
        """Whether everything acknowledged arrived everywhere, once."""
        return (
            self.lost == self.duplicates == self.dead_letters == 0
            and self.stored == self.projected == self.acknowledged
            and self.delivered == self.expected_delivered
            and (self.chaos is None or self.chaos.is_whole)
        )

    def as_json(self) -> dict[str, object]:
        """The fields, for `--json`; the counts of chaos only where there was some."""
        fields = asdict(self)
        return fields | (fields.pop("chaos") or {})
