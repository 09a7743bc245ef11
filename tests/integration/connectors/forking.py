"""A process that does each piece of work in a fork of its own, which may kill itself on the way.

Starting Python anew for each power cut would take a second; a fork has imported everything.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Work = Callable[[Mapping[str, Any]], Coroutine[Any, Any, None]]

Ask = Callable[[Mapping[str, Any]], int]
"""Let a fork do what is asked; its exit code, below zero for a signal."""

ROOT = Path(__file__).parents[3]


def serve(work: Work) -> None:
    """Do what the lines of stdin ask for, each in a fork; print how that has ended.

    Forks come before there is an event loop or a thread.
    """
    for line in sys.stdin:
        child = os.fork()
        if not child:
            asyncio.run(work(json.loads(line)))
            return
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


@contextmanager
def forks_of(module: str) -> Iterator[Ask]:
    """What asks a module that serves."""
    command, pipe = [sys.executable, "-m", module], subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as processes:
        asks, answers = processes.stdin, processes.stdout
        assert asks is not None
        assert answers is not None

        def ask(asked: Mapping[str, Any]) -> int:
            asks.write(f"{json.dumps(asked)}\n")
            asks.flush()
            return int(answers.readline())

        yield ask
