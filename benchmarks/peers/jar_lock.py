"""How a lock describes a jar."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

Locked = dict[str, str | int]
"""Coordinates, SHA-256 and size of one jar."""


def locked(artifacts: Iterable[Any]) -> list[Locked]:
    """The jars of resolved artefacts, by their coordinates; missing ones are downloaded."""
    return [_locked(artifact) for artifact in sorted(artifacts, key=str)]


def _locked(artifact: Any) -> Locked:
    content = artifact.resolve().read_bytes()
    return {
        "group": artifact.groupId,
        "artifact": artifact.artifactId,
        "version": artifact.version,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
    }
