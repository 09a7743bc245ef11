"""The root of every error that the platform raises, and the branch of this package.

    WundrError
    └── SchemaError
        ├── UnknownEventType        the catalog has no such type
        ├── UnknownSchemaVersion    the catalog has the type, not this version
        ├── InvalidPattern          not `*`, a type, or a prefix with `.*`
        ├── InvalidEventData        data does not fit its schema; `path` names the field
        ├── EventTooLarge           encoded, it passes the limit
        ├── NotAnEvent              bytes that were not framed by this platform
        ├── TruncatedEvent          bytes that end early or do not fit their writer schema
        ├── UpcastFailed            an upcast gives data that do not fit the newer major
        ├── UnknownSchemaId         framed with a schema that this process has not learned
        ├── InvalidWriterSchema     a composed schema that no producer of the platform wrote
        ├── KeysMissing             personal data, and a process without keys
        ├── SubjectForgotten        personal data of somebody who was forgotten
        ├── SealBroken              a personal value was changed, or is another one's
        ├── UnknownRoom             not `system`, `project.<id>` or `user.<id>`
        └── CatalogFault            hand-written schema files are wrong; all faults at once
            └── LockMismatch        a released file was changed, or the lock is out of date
    (streams.errors, connectors.errors, gateway.errors and infra.errors each add one branch)

`code` is stable and may be shown to machines, `retryable` says whether the same call can succeed
later without a change, `remedy` says what to do next. A class docstring is the default message.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class WundrError(Exception):
    """Something in the platform went wrong."""

    code: ClassVar[str] = "wundr"
    retryable: ClassVar[bool] = False
    remedy: str = "Run `wundr doctor`."
    """Of the class; who knows more about one error may say it of that one."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(
            message or (type(self).__doc__ or type(self).__name__).strip().splitlines()[0]
        )

    @property
    def message(self) -> str:
        """What went wrong, one sentence."""
        return str(self.args[0])


class SchemaError(WundrError):
    """An event or a schema does not keep the contract."""

    code = "schemas"
    remedy = "Run `wundr schemas check`."


class UnknownEventType(SchemaError):
    """No schema file describes this event type."""

    code = "schemas.unknown_event_type"
    remedy = "Check the spelling, or add a schema file and run `wundr schemas generate`."

    def __init__(self, event_type: str, near: Sequence[str] = ()) -> None:
        """`near`: types that may have been meant."""
        self.event_type = event_type
        self.near = tuple(near)
        meant = f", did you mean {' or '.join(near)}?" if near else ""
        super().__init__(f"the catalog has no event type {event_type!r}{meant}")


class UnknownSchemaVersion(SchemaError):
    """The event type has no such schema version."""

    code = "schemas.unknown_schema_version"
    remedy = "Use one of the versions that the message names."

    def __init__(self, event_type: str, version: str, known: Sequence[str]) -> None:
        self.event_type = event_type
        self.version = version
        super().__init__(f"{event_type} has no version {version}, only {', '.join(known)}")


class InvalidPattern(SchemaError):
    """This is no pattern of event types."""

    code = "schemas.invalid_pattern"
    remedy = "Use `*`, a type such as `analysis.started`, or a prefix such as `analysis.*`."


class InvalidEventData(SchemaError):
    """The data of an event does not fit its schema."""

    code = "schemas.invalid_event_data"
    remedy = "Correct the named field; the schema file says what it may hold."

    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{path}: {problem}")


class EventTooLarge(SchemaError):
    """An encoded event passes the size limit."""

    code = "schemas.event_too_large"
    remedy = "Publish a reference to large content instead of the content."

    def __init__(self, size: int, limit: int) -> None:
        self.size = size
        self.limit = limit
        super().__init__(f"the encoded event has {size} bytes, the limit is {limit}")


class NotAnEvent(SchemaError):
    """These bytes do not begin with a zero byte and a schema id."""

    code = "schemas.not_an_event"
    remedy = "Find out who writes to this topic without the platform's codec."


class TruncatedEvent(SchemaError):
    """The bytes end early or do not fit their writer schema."""

    code = "schemas.truncated_event"
    remedy = "Look at the raw bytes with `wundr dlq show`; their producer or their path is broken."


class UpcastFailed(SchemaError):
    """An upcast cannot read the data of an older major, or gives what its schema refuses."""

    code = "schemas.upcast_failed"
    remedy = "Correct the upcast in `schemas/upcasts.py`: stored events never change."

    def __init__(self, event_type: str, written: str, wanted: str, cause: Exception) -> None:
        self.event_type = event_type
        super().__init__(f"{event_type} {written} cannot be read as {wanted}: {cause!r}")


class UnknownSchemaId(SchemaError):
    """The event was written with a schema that is not known here."""

    code = "schemas.unknown_schema_id"
    remedy = "Check that the producer announces its schemas in `wundr.schemas`."

    def __init__(self, schema_id: int) -> None:
        self.schema_id = schema_id
        super().__init__(f"schema id {schema_id} is not known")


class InvalidWriterSchema(SchemaError):
    """This is no composed schema of the platform."""

    code = "schemas.invalid_writer_schema"
    remedy = "Find out who writes to `wundr.schemas`; its records are never changed by hand."


class KeysMissing(SchemaError):
    """The event holds personal data, and this process has no keys to protect them with."""

    code = "schemas.keys_missing"
    remedy = (
        "Set WUNDR_KEYS_DSN to the database of the keys (the stack of `wundr up` has one) and give "
        "its key ring to the bus, the worker or the codec."
    )

    def __init__(self, event_type: str) -> None:
        self.event_type = event_type
        super().__init__(
            f"{event_type} holds personal data, and this process has no keys to protect them with"
        )


class SubjectForgotten(SchemaError):
    """The subject of these personal data was forgotten: no key is ever made for it again."""

    code = "schemas.subject_forgotten"
    remedy = "Leave the personal fields empty; somebody who comes back gets a new subject id."


class SealBroken(SchemaError):
    """A personal value was changed, or taken from another event."""

    code = "schemas.seal_broken"
    remedy = "Look at the raw bytes with `wundr dlq show`; find out who writes to this topic."

    def __init__(self, event_type: str, field: str) -> None:
        self.event_type = event_type
        self.field = field
        super().__init__(f"{event_type}: {field} was changed, or belongs to somebody else")


class UnknownRoom(SchemaError):
    """A room is `system`, `project.<id>` or `user.<id>`."""

    code = "schemas.unknown_room"
    remedy = "Name a room of one of the three scopes."


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong in a schema file.

    Where (file, path inside it), what, and what to do.
    """

    file: str
    path: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.file}: {self.path}" if self.path else self.file
        return f"{place}: {self.problem} → {self.remedy}"


class CatalogFault(SchemaError):
    """Schema files are wrong."""

    code = "schemas.catalog_fault"
    remedy = "Correct every file that is named, then run `wundr schemas check`."

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        lines = "\n".join(f"  {fault}" for fault in self.faults)
        super().__init__(f"{len(self.faults)} faults in the schema files:\n{lines}")


class LockMismatch(CatalogFault):
    """Schema files and the lock disagree."""

    code = "schemas.lock_mismatch"
    remedy = "A released file never changes: restore it and add a new version instead."
