"""The git server with real clients: the git program and libgit2, each held to git's own rules."""

import asyncio
import gzip
import http.client
import os
import socket
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pygit2
import pytest

from agent.local.git_server import GitServer
from tests.support.git import GitError, bare_repository, commit_files, git


@pytest.fixture
def bare(repositories: Path) -> Path:
    """An empty repository that is served as `models.git`."""
    return bare_repository(repositories / "models.git")


@pytest.fixture
def ada(bare: Path, git_server: GitServer, tmp_path: Path) -> Path:
    """A clone with one commit on main, which is pushed."""
    checkout = clone(git_server, tmp_path / "ada")
    commit_files(checkout, {"a.yaml": "a: 1\n"})
    git("push", "--quiet", "origin", "HEAD:main", cwd=checkout)
    return checkout


def clone(server: GitServer, to: Path) -> Path:
    git("clone", "--quiet", server.url("models.git"), to, cwd=to.parent)
    return to


def refuse_pushes(bare: Path, *, reason: str) -> None:
    hook = bare / "hooks" / "pre-receive"
    hook.write_text(f"#!/bin/sh\necho '{reason}'\nexit 1\n")
    hook.chmod(hook.stat().st_mode | stat.S_IXUSR)


def main_of(repository: Path) -> str:
    return git("rev-parse", "refs/heads/main", cwd=repository)


class PushNotes(pygit2.RemoteCallbacks):
    """Keeps what the server said of each reference: None for yes, else the reason."""

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[str, str | None] = {}

    def push_update_reference(self, refname: str, message: str | None) -> None:
        self.said[refname] = message


def test_a_clone_sees_what_was_pushed(ada: Path, bare: Path, git_server: GitServer, tmp_path: Path) -> None:
    bob = clone(git_server, tmp_path / "bob")
    assert (bob / "a.yaml").read_text() == "a: 1\n"
    assert main_of(bare) == main_of(ada)


def test_a_fetch_brings_later_commits(ada: Path, git_server: GitServer, tmp_path: Path) -> None:
    bob = clone(git_server, tmp_path / "bob")
    newer = commit_files(ada, {"a.yaml": "a: 2\n"})
    git("push", "--quiet", "origin", "HEAD:main", cwd=ada)
    git("fetch", "--quiet", cwd=bob)
    assert git("rev-parse", "origin/main", cwd=bob) == newer


def test_a_lost_race_is_refused(ada: Path, bare: Path, git_server: GitServer, tmp_path: Path) -> None:
    bob = clone(git_server, tmp_path / "bob")
    winner = commit_files(ada, {"a.yaml": "a: 2\n"})
    git("push", "--quiet", "origin", "HEAD:main", cwd=ada)
    commit_files(bob, {"a.yaml": "a: 3\n"})
    with pytest.raises(GitError, match="fetch first"):
        git("push", "origin", "HEAD:main", cwd=bob)
    assert main_of(bare) == winner


def test_a_hook_refuses_and_its_words_reach_the_client(ada: Path, bare: Path) -> None:
    before = main_of(bare)
    refuse_pushes(bare, reason="GH013: not on a Friday")
    commit_files(ada, {"a.yaml": "a: 2\n"})
    with pytest.raises(GitError, match=r"(?s)GH013: not on a Friday.*pre-receive hook declined"):
        git("push", "origin", "HEAD:main", cwd=ada)
    assert main_of(bare) == before


def test_pygit2_pushes(ada: Path, bare: Path) -> None:
    newer = commit_files(ada, {"a.yaml": "a: 2\n"})
    notes = PushNotes()
    pygit2.Repository(ada).remotes["origin"].push(["refs/heads/main"], callbacks=notes)
    assert notes.said == {"refs/heads/main": None}
    assert main_of(bare) == newer


def test_pygit2_is_told_by_callback_alone_that_a_hook_refused(ada: Path, bare: Path) -> None:
    before = main_of(bare)
    refuse_pushes(bare, reason="no")
    commit_files(ada, {"a.yaml": "a: 2\n"})
    notes = PushNotes()
    pygit2.Repository(ada).remotes["origin"].push(["refs/heads/main"], callbacks=notes)  # raises nothing
    assert notes.said == {"refs/heads/main": "pre-receive hook declined"}
    assert main_of(bare) == before


def test_pygit2_raises_when_it_knows_by_itself_that_it_is_behind(
    ada: Path, bare: Path, git_server: GitServer, tmp_path: Path
) -> None:
    bob = clone(git_server, tmp_path / "bob")
    winner = commit_files(ada, {"a.yaml": "a: 2\n"})
    git("push", "--quiet", "origin", "HEAD:main", cwd=ada)
    commit_files(bob, {"a.yaml": "a: 3\n"})
    with pytest.raises(pygit2.GitError):
        pygit2.Repository(bob).remotes["origin"].push(["refs/heads/main"], callbacks=PushNotes())
    assert main_of(bare) == winner


@pytest.mark.parametrize("post_buffer", ["64k", "100m"], ids=["chunked", "with a length"])
def test_a_large_push_is_streamed(ada: Path, bare: Path, post_buffer: str) -> None:
    (ada / "weights.bin").write_bytes(os.urandom(8_000_000))
    newer = commit_files(ada, {"a.yaml": "a: 2\n"})
    git("-c", f"http.postBuffer={post_buffer}", "push", "--quiet", "origin", "HEAD:main", cwd=ada)
    assert main_of(bare) == newer
    git("fsck", "--strict", cwd=bare)


async def test_a_compressed_request_is_understood(ada: Path, git_server: GitServer) -> None:
    wants = f"0032want {main_of(ada)}\n00000009done\n".encode()
    headers = {"Content-Type": "application/x-git-upload-pack-request", "Content-Encoding": "gzip"}
    address = git_server.url("models.git/git-upload-pack")
    async with (
        aiohttp.ClientSession() as session,
        session.post(address, data=gzip.compress(wants), headers=headers) as answer,
    ):
        assert answer.status == 200
        assert b"PACK" in await answer.read()


def test_many_clients_at_once(ada: Path, bare: Path, git_server: GitServer, tmp_path: Path) -> None:
    def push_own_branch(number: int) -> str:
        checkout = clone(git_server, tmp_path / f"client-{number}")
        commit = commit_files(checkout, {f"{number}.yaml": f"n: {number}\n"})
        git("push", "--quiet", "origin", f"HEAD:refs/heads/client-{number}", cwd=checkout)
        return commit

    with ThreadPoolExecutor(8) as pool:
        commits = list(pool.map(push_own_branch, range(8)))
    branches = [git("rev-parse", f"refs/heads/client-{number}", cwd=bare) for number in range(8)]
    assert branches == commits


def test_of_rivals_for_one_branch_exactly_one_wins(
    ada: Path, bare: Path, git_server: GitServer, tmp_path: Path
) -> None:
    rivals = [clone(git_server, tmp_path / f"rival-{number}") for number in range(4)]
    commits = [commit_files(rival, {"a.yaml": f"a: {rival.name}\n"}) for rival in rivals]
    together = threading.Barrier(len(rivals))

    def push(rival: Path) -> bool:
        together.wait()
        try:
            git("push", "--quiet", "origin", "HEAD:main", cwd=rival)
        except GitError:
            return False
        return True

    with ThreadPoolExecutor(len(rivals)) as pool:
        won = list(pool.map(push, rivals))
    assert won.count(True) == 1
    assert main_of(bare) == commits[won.index(True)]


@pytest.mark.parametrize("path", ["absent.git/info/refs?service=git-upload-pack", "models.git/x"])
async def test_what_is_not_there_is_not_found(bare: Path, git_server: GitServer, path: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(git_server.url(path)) as answer:
        assert answer.status == 404


@pytest.mark.parametrize("up", ["..", "%2e%2e", "models.git/../.."])
def test_nothing_outside_the_folder_is_served(bare: Path, git_server: GitServer, tmp_path: Path, up: str) -> None:
    bare_repository(tmp_path / "outside.git")
    address = urlsplit(git_server.url(""))
    connection = http.client.HTTPConnection(address.netloc)
    connection.request("GET", f"/{up}/outside.git/HEAD")  # unlike most clients, this one leaves the path as it is
    with connection.getresponse() as answer:
        assert answer.status == 500  # git itself ends over such a path
        assert answer.read() == b""
    connection.close()


def test_a_client_that_goes_away_in_the_middle_changes_nothing(ada: Path, bare: Path, git_server: GitServer) -> None:
    before = main_of(bare)
    address = urlsplit(git_server.url("models.git/git-receive-pack"))
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(
            f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 100000\r\n"
            "Content-Type: application/x-git-receive-pack-request\r\n\r\n00a5".encode()
        )
    newer = commit_files(ada, {"a.yaml": "a: 2\n"})
    assert main_of(bare) == before
    git("push", "--quiet", "origin", "HEAD:main", cwd=ada)
    assert main_of(bare) == newer


async def test_it_runs_inside_an_event_loop_too(bare: Path, repositories: Path, tmp_path: Path) -> None:
    async with GitServer(repositories) as server:
        checkout = await asyncio.to_thread(clone, server, tmp_path / "clone")
    assert (checkout / ".git").is_dir()


async def test_a_taken_port_is_an_error(repositories: Path) -> None:
    async with GitServer(repositories) as server:
        port = urlsplit(server.url("")).port
        assert port
        with pytest.raises(OSError, match="address already in use"):
            await GitServer(repositories, port=port).start()


def test_the_environment_of_a_git_hook_does_not_redirect_it(
    ada: Path, git_server: GitServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert (clone(git_server, tmp_path / "bob") / "a.yaml").is_file()
