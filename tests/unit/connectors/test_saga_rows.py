"""The documents of the steps of sagas."""

from __future__ import annotations

import pytest

from connectors.errors import Unstorable
from connectors.saga_rows import json_text


def test_what_is_no_text_in_a_document_is_refused_by_an_error_that_says_so() -> None:
    with pytest.raises(Unstorable, match="surrogates"):
        json_text([{"name": "half of a pair: \ud800"}])
