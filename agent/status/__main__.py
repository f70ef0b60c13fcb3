"""The `fresco-agent` program: `local`, `demo`, and `run-local`, the agent that `local` starts. Connects all parts.

fresco-agent local --repository URL …      a whole cluster on this machine, see `fresco-agent local --help`
fresco-agent demo …                        the whole life of a model, shown on this machine
fresco-agent run-local …                   the agent alone, for a node that runs already
"""

import argparse
import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from aiohttp import web

from agent.status import process, reports
from agent.status.local_cluster import LocalCluster
from agent.status.loop import Agent
from agent.status.settings import Settings
from agent.status.web import application
from render.errors import ExitCode
from render.repository import Credentials
from render.trailers import installed_version
from schemas import limits

Program = Callable[[Sequence[str]], int]

POLL_LOOPBACK: Final = 0.2  # seconds: a repository on this very machine is asked often, instead of a webhook
WINDOW_LOOPBACK: Final = 0.05  # seconds: and told at once, because a commit costs nobody else anything
_POLLS = f"default: {limits.POLL_MAIN:g}, and {POLL_LOOPBACK:g} for a repository on this machine"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program that the first argument names, with the others. Returns its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if not given or given[0] not in _PROGRAMS:
        sys.stderr.write(f"usage: fresco-agent {{{','.join(_PROGRAMS)}}} …\n\n{__doc__}")
        return ExitCode.FINE if given[:1] in (["-h"], ["--help"]) else ExitCode.WRONG_USE
    return _PROGRAMS[given[0]](given[1:])


def _local(arguments: Sequence[str]) -> int:
    from agent.local.parent import main as local

    return local(arguments)


def _demo(arguments: Sequence[str]) -> int:
    from agent.demo import main as demo

    return demo(arguments)


# ---- the agent of local mode


def _run_local(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    process.raise_open_files()
    code = ExitCode.FINE
    try:
        asyncio.run(_until_told(options))
    except Exception:
        logging.getLogger(__name__).exception("a mistake in Fresco, please report it")
        code = ExitCode.OUR_BUG
    sys.stderr.flush()
    # A fetch that hangs in its thread would hold the end up; there is nothing that must be put in order.
    os._exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fresco-agent run-local", description="The status agent for a local node.")
    parser.add_argument("--repository", required=True, metavar="URL", help="the git repository, HTTP(S) or SSH")
    parser.add_argument("--branch", default="main", help="the branch that people write to (default: main)")
    parser.add_argument("--cluster", default="local", help="the cluster's name in fresco.yaml (default: local)")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="the agent's own directory, a cache")
    parser.add_argument("--node", required=True, type=Path, metavar="DIR", help="the directory of the node")
    parser.add_argument("--poll", type=float, metavar="S", help=f"seconds between looks at main ({_POLLS})")
    parser.add_argument("--web-port", type=int, default=0, metavar="PORT", help="on 127.0.0.1 (default: any free one)")
    parser.add_argument("--parent-stdin", action="store_true", help="end with the parent: when standard input ends")
    return parser


def settings(options: argparse.Namespace) -> Settings:
    """What the command line says. User and password of the URL are taken out of it: they are not to be shown."""
    url, credentials = _apart(options.repository)
    return Settings(
        repository=url,
        credentials=credentials,
        cluster=options.cluster,
        main=options.branch,
        data=options.data,
        poll=options.poll or (POLL_LOOPBACK if _is_loopback(url) else limits.POLL_MAIN),
        window=WINDOW_LOOPBACK if _is_loopback(url) else limits.COMMIT_WINDOW,
        web_port=options.web_port,
        version=installed_version(),
    )


async def _until_told(options: argparse.Namespace) -> None:
    from agent.local.ending import told_to_end

    end = told_to_end(parent_stdin=options.parent_stdin)
    async with _agent(options) as running:
        await asyncio.wait({end, running}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()


@contextlib.asynccontextmanager
async def _agent(options: argparse.Namespace) -> AsyncIterator[asyncio.Task[None]]:
    async with reports.session() as http:
        chosen = settings(options)
        agent = Agent(settings=chosen, cluster=LocalCluster(options.node, http), http=http, clock=time.time)
        runner = web.AppRunner(application(agent), shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, chosen.web_host, chosen.web_port).start()
        _announce(options.data, runner)
        running = asyncio.create_task(agent.run())
        sparing = asyncio.create_task(process.spare_collector(agent.settled))
        try:
            yield running
        finally:
            sparing.cancel()
            running.cancel()
            await asyncio.wait([running, sparing])
            await runner.cleanup()


def _announce(data: Path, runner: web.AppRunner) -> None:
    """Writes down where the web port is, as `web` in the agent's directory: for whoever has to say that main moved."""
    host, port = runner.addresses[0][:2]
    log = logging.getLogger(__name__)
    temporary = data / ".web.new"
    try:
        data.mkdir(parents=True, exist_ok=True)
        temporary.write_text(f"http://{host}:{port}\n")
        temporary.replace(data / "web")
    except OSError as error:  # the agent works without it: by polling
        log.error("cannot write down where the web port is: %s", error)
    log.info("the web port is http://%s:%d", host, port)


def _apart(url: str) -> tuple[str, Credentials | None]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.username is None:
        return url, None
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return bare, Credentials(unquote(parts.username), unquote(parts.password or ""))


def _is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")


_PROGRAMS: Final[dict[str, Program]] = {"local": _local, "demo": _demo, "run-local": _run_local}

if __name__ == "__main__":
    sys.exit(main())
