"""The SQL of this package: named queries and migrations, loaded from files beside this module.

Statements come from these files only; values travel as parameters, never inside the text.
"""

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, LiteralString

_HEADING: Final = re.compile(r"^-- (?P<name>[a-z_]+) --\n-- [^\n]+\n", re.MULTILINE)
_MIGRATION_NAME: Final = re.compile(r"\d{4}_(pre|post)_[a-z0-9_]+\.sql")

STORE_MIGRATIONS: Final = "migrations"
"""Folder of the migrations of the event store's database."""

KEY_MIGRATIONS: Final = "key_migrations"
"""Folder of those of the database of keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step of the tables: `NNNN_pre_…` runs before new code is there, `NNNN_post_…` after."""

    name: str
    statements: LiteralString

    @property
    def checksum(self) -> str:
        """SHA-256 of the file: an applied file never changes."""
        return hashlib.sha256(self.statements.encode()).hexdigest()


def parse_queries(text: str) -> dict[str, LiteralString]:
    """Read `-- name --`, a line of purpose and a statement, again and again."""
    headings = list(_HEADING.finditer(text))
    ends = [*(heading.start() for heading in headings[1:]), len(text)]
    return {
        heading["name"]: _trusted(text[heading.end() : end].strip())
        for heading, end in zip(headings, ends, strict=False)
    }


def load_migrations(folder: str = STORE_MIGRATIONS) -> tuple[Migration, ...]:
    """The migrations of this release, in order. Raises ValueError for a name out of form."""
    found = [entry for entry in (files(__name__) / folder).iterdir() if entry.is_file()]
    for entry in found:
        if not _MIGRATION_NAME.fullmatch(entry.name):
            raise ValueError(
                f"{entry.name}: a migration is named NNNN_pre_purpose.sql or NNNN_post_…"
            )
    return tuple(
        Migration(name=entry.name, statements=_trusted(entry.read_text(encoding="utf-8")))
        for entry in sorted(found, key=lambda entry: entry.name)
    )


def _trusted(text: str) -> LiteralString:
    """Text of a file in this package is as trusted as the code."""
    return text


def load_queries() -> dict[str, LiteralString]:
    """The named queries of every file beside this module. Raises ValueError for a name twice."""
    queries: dict[str, LiteralString] = {}
    found = [entry for entry in files(__name__).iterdir() if entry.name.endswith(".sql")]
    for entry in sorted(found, key=lambda entry: entry.name):
        named = parse_queries(entry.read_text(encoding="utf-8"))
        if twice := queries.keys() & named.keys():
            raise ValueError(f"{entry.name}: {', '.join(sorted(twice))} is named twice")
        queries |= named
    return queries


QUERIES: Final = load_queries()
