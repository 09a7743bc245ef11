"""The tables of a group member as its pages show them: only what this worker owns at the moment."""

from collections.abc import Iterator

from streams.runtime.member import GroupMember
from streams.table import StoredEntry


class MemberTables:
    """Implements `http.TableView`."""

    def __init__(self, member: GroupMember) -> None:
        self._member = member

    @property
    def is_ready(self) -> bool:
        """Whether the tables are recovered."""
        return self._member.is_ready

    def names(self) -> tuple[str, ...]:
        """All tables of the app."""
        return tuple(self._member.tables)

    def owns(self, name: str, key: str) -> bool:
        """Whether the key's partition is assigned to this worker."""
        changelog = self._member.tables[name].changelog
        return self._member.partition_of(key) in self._owned(changelog)

    def owner(self, name: str, key: str) -> str | None:
        """The address of the worker that owns the key; None while nobody does."""
        changelog = self._member.tables[name].changelog
        return self._member.owner_of(changelog, self._member.partition_of(key))

    def find(self, name: str, key: str) -> StoredEntry | None:
        """One entry."""
        table = self._member.tables[name]
        value = table.get(key)
        if value is None:
            return None
        return StoredEntry(key, self._member.partition_of(key), value)

    def entries(self, name: str) -> Iterator[StoredEntry]:
        """The entries of all partitions that this worker owns."""
        table = self._member.tables[name]
        owned = self._owned(table.changelog)
        return (entry for entry in table.entries() if entry.partition in owned)

    def _owned(self, changelog: str) -> frozenset[int]:
        return frozenset(
            source.partition for source in self._member.assigned() if source.topic == changelog
        )
