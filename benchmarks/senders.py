"""An open-loop sender beside a system: made ready, told to go, asked for its report.

Standard library only.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any, Self

READY, GO = b"ready\n", b"go\n"


class Sender:
    """A sender program in a process of its own; it connects at once and waits for the word."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def ready(cls, command: Sequence[str], given: dict[str, Any]) -> Self:
        """Start the program with this order; returns when it is connected."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, json.dumps(given), stdin=pipe, stdout=pipe
        )
        if process.stdout is None or await process.stdout.readline() != READY:
            raise RuntimeError(f"the sender {command[-1]} is not ready")
        return cls(process)

    async def send(self) -> dict[str, float]:
        """Let it send; returns its report. Raises RuntimeError when it did not send everything."""
        printed, _ = await self._process.communicate(GO)
        if self._process.returncode != 0:
            raise RuntimeError(f"the sender ended with {self._process.returncode}")
        report: dict[str, float] = json.loads(printed.splitlines()[-1])
        return report


def wait_for_go() -> None:
    """In a sender that is ready: return when it is to begin.

    Raises SystemExit when nobody will say so.
    """
    sys.stdout.write(READY.decode())
    sys.stdout.flush()
    if not sys.stdin.readline():
        raise SystemExit("nobody waits for this sender any more")
