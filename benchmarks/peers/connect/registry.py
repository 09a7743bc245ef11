"""A schema registry that knows the schemas of one run.

It answers the two requests of the converter, which keeps what it was told: a registry is asked
once per schema and task, so none is in the figures, and a whole one would be 155 MB more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from infra.stack.ports import LOOPBACK

_BASE: Final = "/apis/registry/v2"


@asynccontextmanager
async def registry(schemas: Mapping[str, str]) -> AsyncIterator[str]:
    """Serve these schemas by id within the block, at the address that is given."""
    runner = web.AppRunner(application(schemas), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, LOOPBACK, 0)
        await site.start()
        _, port, *_ = runner.addresses[0]
        yield f"http://{LOOPBACK}:{port}{_BASE}"
    finally:
        await runner.cleanup()


def application(schemas: Mapping[str, str]) -> web.Application:
    """The pages: a schema, and the schemas that it refers to, which are none."""

    async def schema(request: web.Request) -> web.Response:
        known = schemas.get(request.match_info["id"])
        if known is None:
            raise web.HTTPNotFound
        return web.Response(text=known, content_type="application/json")

    async def references(_request: web.Request) -> web.Response:
        return web.json_response([])

    app = web.Application()
    app.router.add_get(f"{_BASE}/ids/contentIds/{{id}}", schema)
    app.router.add_get(f"{_BASE}/ids/contentIds/{{id}}/references", references)
    return app
