"""The how-to runs, page as it is, over a bus in process."""

import re
from pathlib import Path
from typing import Any

import pytest

from schemas.catalog import Catalog
from streams.bus.memory import MemoryBus
from streams.memory.log import MemoryLog

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "batch-and-compress.md"


@pytest.mark.parametrize("name", ["publish_in_batches", "publish_the_last_state"])
async def test_every_block_of_the_page_runs_and_holds(name: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile("\n".join(blocks), str(PAGE), "exec"), names)
    await names[name](MemoryBus("crawler", MemoryLog(), Catalog.load()))
