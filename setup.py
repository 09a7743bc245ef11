"""The parts in C, beside what pyproject.toml says; one that cannot be compiled is left out."""

from pathlib import Path

from setuptools import Extension, setup

SHARED = sorted(
    str(path) for package in ("schemas", "streams") for path in Path(package).glob("*.h")
)
NATIVE = (
    "schemas._native_reading",
    "schemas._native_writing",
    "streams._native_folding",
    "streams.kafka._native_records",
    "connectors._native_rows",
)

setup(
    ext_modules=[
        Extension(name, [f"{name.replace('.', '/')}.c"], depends=SHARED, optional=True)
        for name in NATIVE
    ]
)
