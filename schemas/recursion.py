"""Refuses records that hold themselves.

An Avro reader follows them as deep as the bytes say, and a C reader has no limit: ten thousand
bytes end the process.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from schemas.errors import InvalidWriterSchema


def refuse_recursion(record: Mapping[str, Any]) -> None:
    """Raise InvalidWriterSchema when a record holds itself, at any depth."""
    _walk(record, str(record.get("namespace", "")), frozenset())


def _walk(kind: Any, namespace: str, open_names: frozenset[str]) -> None:
    """`open_names` are the full names of the records that are being described."""
    if isinstance(kind, str):
        if _full_name(kind, namespace) in open_names:
            raise InvalidWriterSchema(f"the record {kind} holds itself")
    elif isinstance(kind, list):
        _walk_all(kind, namespace, open_names)
    elif isinstance(kind, dict):
        if "name" in kind:
            namespace = str(kind.get("namespace", namespace))
            open_names |= {_full_name(str(kind["name"]), namespace)}
        inner = [kind[name] for name in ("items", "values") if name in kind]
        inner += [field.get("type") for field in kind.get("fields", ())]
        if not inner and "name" not in kind:
            inner = [kind.get("type")]
        _walk_all(inner, namespace, open_names)


def _walk_all(kinds: Iterable[Any], namespace: str, open_names: frozenset[str]) -> None:
    for kind in kinds:
        _walk(kind, namespace, open_names)


def _full_name(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"
