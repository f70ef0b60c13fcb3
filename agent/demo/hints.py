"""What people can do next, as commands to copy. Pure."""

from collections.abc import Iterable
from pathlib import Path

from agent.demo.models import Artifact


def history(bare: Path, branch: str, status: str) -> list[str]:
    """How to read what the demo left in git."""
    git = f"git -C {bare}"
    return [
        "The history it left: what people wanted, what the agent did, one Deployment's life, and where all stands:",
        f"  {git} log --oneline main",
        f"  {git} log --format='%h %s' {branch}",
        f"  {git} log -p {branch} -- {status}",
        f"  {git} show {branch}:STATUS.md",
        f"When you have seen enough: rm -rf {bare.parent.parent}",
    ]


def kept(
    *, repository: str, url: str, body: bytes, branch: str, file: str, artifacts: Iterable[Artifact], log: Path
) -> list[str]:
    """How to work with a demo that was left running."""
    return [
        "",
        "Everything runs on. In another terminal, a request and a commit of your own:",
        "",
        f"  curl -s {url} -d '{body.decode()}'",
        f"  git clone {repository} fresco-demo && cd fresco-demo",
        f"  $EDITOR {file}",
        "  git commit -am 'Serve another revision' && git push origin HEAD:main",
        f"  git fetch && git log --format='%h %s' origin/{branch}",
        "",
        "Revisions to serve (3 cannot be loaded):",
        *(f'  revision: "{one.revision}"  uri: {one.uri}  digest: {one.digest}' for one in artifacts),
        "",
        f"The agent's log is {log}; those of the servers, sidecars and the gateway are below {log.parent}.",
        "Ctrl-C ends it.",
    ]
