"""The parts in C, beside what pyproject.toml says; one that cannot be compiled is left out."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension("schemas._native_reading", ["schemas/_native_reading.c"], optional=True),
        Extension(
            "streams.kafka._native_records", ["streams/kafka/_native_records.c"], optional=True
        ),
    ]
)
