"""The parts in C, beside what pyproject.toml says; one that cannot be compiled is left out."""

from setuptools import Extension, setup

SHARED = [
    "schemas/_named_tuple.h",
    "schemas/_slots.h",
    "schemas/_varint.h",
    "streams/_claims.h",
    "streams/_headers.h",
]
NATIVE = (
    "schemas._native_reading",
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
