"""The how-to runs, page as it is."""

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "put-policies-around-a-handler.md"


def test_every_block_of_the_page_runs_and_holds() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(block, str(PAGE), "exec"), names)
    (handler,) = names["app"].handlers
    assert (handler.deadline_s, handler.retry.tries) == (10, 5)
    assert list(names["app"].breakers) == ["mailer"]
