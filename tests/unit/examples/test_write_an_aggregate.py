"""The how-to runs, page as it is, over a store in process."""

import re
from pathlib import Path
from typing import Any

from streams.memory.log import MemoryLog
from streams.repository import RepositoryEdges
from tests.unit.streams.appending import FakeAppender, factory_of, stored_in

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "write-an-aggregate.md"


async def test_every_block_of_the_page_runs_and_holds() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 3
    log = MemoryLog()
    edges = RepositoryEdges(stored=stored_in(log), appender=FakeAppender(log), factory=factory_of())
    names: dict[str, Any] = {"__name__": "page", "edges": edges}
    exec(compile("\n".join(blocks), str(PAGE), "exec"), names)
    await names["main"]()
