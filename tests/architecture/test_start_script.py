"""`./wundr` installs again whenever something changed that is built into `.venv`."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("schemas", "streams", "connectors", "gateway", "infra")


def test_every_part_in_c_is_in_the_fingerprint() -> None:
    loader = SourceFileLoader("wundr_script", str(ROOT / "wundr"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    script = module_from_spec(spec)
    loader.exec_module(script)
    parts = {path for package in PACKAGES for path in (ROOT / package).rglob("*.[ch]")}
    assert len(parts) > 3
    assert parts <= set(script.lock_files(True))
