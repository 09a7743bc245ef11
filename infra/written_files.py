"""Files and folders that a command is told to write: what cannot be written is wrong usage."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer


def refuse_unwritable(file: Path, option: str) -> None:
    """Raise BadParameter where the file could not be written. Writes nothing.

    To be asked before work that takes its time; the disk may still refuse it afterwards.
    """
    with refused_writing(option):
        if file.is_dir():
            raise typer.BadParameter(f"{file} is a folder", param_hint=option)
        if not file.exists() and not file.parent.is_dir():
            raise typer.BadParameter(f"there is no folder {file.parent}", param_hint=option)
        _refuse_protected(file if file.exists() else file.parent, option)


def made_folder(folder: Path, option: str) -> None:
    """Make the folder where there is none. Raise BadParameter where no file could be put there."""
    with refused_writing(option):
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_protected(folder, option)


@contextmanager
def refused_writing(option: str) -> Iterator[None]:
    """Raise BadParameter for what the file system refuses inside; `option` named the place."""
    try:
        yield
    except OSError as error:
        why = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise typer.BadParameter(f"cannot write {why}", param_hint=option) from error


def _refuse_protected(place: Path, option: str) -> None:
    if not os.access(place, os.W_OK):
        raise typer.BadParameter(f"{place} may not be written", param_hint=option)
