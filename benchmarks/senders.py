"""Starts an open-loop sender beside a system and reads its report. Standard library only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any


async def run_sender(command: Sequence[str], given: dict[str, Any]) -> dict[str, float]:
    """Run a sender program to its end. Raises RuntimeError when it did not send everything."""
    process = await asyncio.create_subprocess_exec(
        *command, json.dumps(given), stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the sender ended with {process.returncode}")
    report: dict[str, float] = json.loads(printed.splitlines()[-1])
    return report
