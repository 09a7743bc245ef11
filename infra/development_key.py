"""The signing key of a development installation: made on first start, kept in the state folder."""

import os
from pathlib import Path

from gateway.tokens import new_secret
from infra.settings import Settings

FILE = "development.key"


def development_key(settings: Settings) -> str:
    """The configured key, else the one of the state folder.

    Made with owner-only rights when there is none.
    """
    if settings.jwt_secret is not None:
        return settings.jwt_secret.get_secret_value()
    path = settings.state_dir / FILE
    if not path.exists():
        _write(path, new_secret())
    return path.read_text().strip()


def _write(path: Path, secret: str) -> None:
    """In one step: two processes that start at once end up with one key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secret)
    try:
        os.link(new, path)
    except FileExistsError:
        return
    finally:
        new.unlink()
