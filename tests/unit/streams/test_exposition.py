"""Every client gets a page that it can read."""

from __future__ import annotations

import pytest

from streams.exposition import rendered


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/plain"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
        ("application/openmetrics-text; version=banana", "text/plain"),
        ("text/plain; version=1.banana", "text/plain"),
    ],
)
def test_a_version_that_nobody_knows_is_answered_with_the_plain_format(
    accept: str, kind: str
) -> None:
    page = rendered((), accept)
    assert page.content_type.startswith(kind)
    assert b"process_cpu_seconds" in page.content
