"""The sidecars of a whole fleet, as far as an agent sees them: a report at each address, and polls that stay open.

python -m tests.bench.many_sidecars <file>

The file is JSON, a list of slices: a report with `POD` where the pod's name belongs, and names of pods by address. The
addresses are all on the loopback network, which is large; the port, the same for all, is printed when it is open.
"""

import asyncio
import sys
from pathlib import Path

import msgspec
from aiohttp import web

POD = "@pod@"

Slices = list[tuple[str, dict[str, str]]]
"""A report, and the pods' names by address (127.x.y.z)."""


def address(number: int) -> str:
    """The address of a pod, by its number. Neighbours of 127.0.0.1 are left to others."""
    number += 1 << 16
    return f"127.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


async def main(slices: Slices) -> None:
    """Answers until it is killed."""
    known = {host: (report, name) for report, pods in slices for host, name in pods.items()}

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        report, name = known[request.transport.get_extra_info("sockname")[0]]
        if "after" in request.query:
            await asyncio.sleep(float(request.query["wait"]))  # nothing moves
        return web.Response(text=report.replace(POD, name), content_type="application/json")

    application = web.Application()
    application.router.add_get("/v1/status", answer)
    runner = web.AppRunner(application, handler_cancellation=True, keepalive_timeout=3600.0)
    await runner.setup()
    site = web.TCPSite(runner, "0.0.0.0", 0, backlog=4096)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Slices)))
