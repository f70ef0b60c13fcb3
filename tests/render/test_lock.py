"""`fresco lock` changes the bytes of the digests and no others."""

import asyncio
import io
import itertools
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from render.cli import main
from render.lock import CannotLock, locked
from render.progress import Progress
from tests.support.eventually import eventually
from tests.support.models import serving_directory

DIGEST = "sha256:" + "9f" * 32
OLD = "sha256:" + "4d" * 32
HEAD = "apiVersion: serving.fresco.dev/v1alpha1\nkind: Deployment\nmetadata: {name: scorer, namespace: fraud}\n"
BLOCK = HEAD + 'spec:\n  server: gpu-a\n  model:\n    revision: "1"\n    uri: s3://a/b  # here\n    name: x\n'
MODELS = Path(__file__).parents[2] / "examples" / "models" / "scorer"


def spliced(text: str, *, again: bool = False) -> str:
    """`text` with DIGEST for each model. Raises the first CannotLock."""
    after, results = locked("a.yaml", text.encode(), lambda _: DIGEST, again=again)
    for one in results:
        if isinstance(one, CannotLock):
            raise one
    return after.decode()


def test_a_line_goes_behind_the_address() -> None:
    assert spliced(BLOCK) == BLOCK.replace("# here\n", f"# here\n    digest: {DIGEST}\n")


STYLES = [
    # In braces.
    ("{uri: s3://a/b, revision: x}", "{uri: s3://a/b, digest: NEW, revision: x}"),
    ("{revision: x, uri: 's3://a/b'}", "{revision: x, uri: 's3://a/b', digest: NEW}"),
    ("{revision: x, digest: , uri: s3://a/b}", "{revision: x, digest: NEW, uri: s3://a/b}"),
    ('{"revision":"x","uri":"s3://a/b","name":"m"}', '{"revision":"x","uri":"s3://a/b", "digest": "NEW","name":"m"}'),
    ('{"revision": "x", "uri" : "s3://a/b"}', '{"revision": "x", "uri" : "s3://a/b", "digest": "NEW"}'),
    ('{"uri": "s3://a/b", digest: , "revision": x}', '{"uri": "s3://a/b", digest: "NEW", "revision": x}'),
    ('{"uri": "s3://a/b", "digest":, "revision": x}', '{"uri": "s3://a/b", "digest": "NEW", "revision": x}'),
    ('{"uri": s3://a/b, revision: x}', '{"uri": s3://a/b, digest: NEW, revision: x}'),
    ("{revision: x,\n    uri: s3://a/b, # why\n    }", "{revision: x,\n    uri: s3://a/b, digest: NEW, # why\n    }"),
    # In lines.
    ("\n    revision: x\n    uri: s3://a/b", "\n    revision: x\n    uri: s3://a/b\n    digest: NEW"),
    ("\r\n    revision: x\r\n    uri: s3://a/b", "\r\n    revision: x\r\n    uri: s3://a/b\r\n    digest: NEW"),
    ("\n    uri: s3://a/b # a\tb\n    revision: x\n", "\n    uri: s3://a/b # a\tb\n    digest: NEW\n    revision: x\n"),
    ("\n    uri: &u s3://a/b\n    revision: *u\n", "\n    uri: &u s3://a/b\n    digest: NEW\n    revision: *u\n"),
    ("\n    # é😀\n    uri: s3://é\n    revision: x", "\n    # é😀\n    uri: s3://é\n    digest: NEW\n    revision: x"),
    # The key is there.
    ("\n    digest:\n    uri: s3://a/b\n    revision: x", "\n    digest: NEW\n    uri: s3://a/b\n    revision: x"),
    ("\n    digest: ~ #\n    uri: s3://b\n    revision: x", "\n    digest: NEW #\n    uri: s3://b\n    revision: x"),
    ("\n    revision: x\n    uri: s3://a/b\n    digest: null", "\n    revision: x\n    uri: s3://a/b\n    digest: NEW"),
]  # fmt: skip


@pytest.mark.parametrize("before", ["", "\ufeff", "---\na: b\n---\n", "# é\r\n---\r\na: b\r\n...\r\n---\r\n"])
@pytest.mark.parametrize(("model", "expected"), STYLES)
def test_every_style_keeps_its_style(before: str, model: str, expected: str) -> None:
    head = f"{before}{HEAD}spec:\n  server: gpu-a\n  model: "
    assert spliced(head + model) == head + expected.replace("NEW", DIGEST)


@pytest.mark.parametrize(
    "spec",
    [
        "spec:\n  server: a\n  model:\n    revision: x\n    uri: >-\n      s3://a/b\n",
        "spec:\n  server: a\n  model:\n    revision: x\n    ? uri\n    : s3://a/b\n",
        "spec:\n  server: a\n  model: {revision: x, digest, uri: s3://a/b}\n",
        "metadata: {name: scorer, annotations: &m {uri: s3://a/b, revision: x}}\nspec:\n  server: a\n  model: *m\n",
    ],
)
def test_what_cannot_be_spliced_is_said_and_left_alone(spec: str) -> None:
    text = f"apiVersion: serving.fresco.dev/v1alpha1\nkind: Deployment\n{'' if 'metadata' in spec else HEAD[57:]}{spec}"
    with pytest.raises(CannotLock, match="by hand"):
        spliced(text)
    assert locked("a.yaml", text.encode(), lambda _: DIGEST, again=False)[0] == text.encode()


def test_json_stays_json() -> None:
    compact = '{"uri":"s3://a/b","digest":null,"revision":"x"}'
    assert spliced(f"{HEAD}spec: {{server: a, model: {compact}}}").count(f'"digest":"{DIGEST}"') == 1
    model = {"revision": "x", "uri": "s3://a/b"}
    head = {"apiVersion": "serving.fresco.dev/v1alpha1", "kind": "Deployment", "metadata": {"name": "a"}}
    for indent, more in itertools.product((None, 2), ({}, {"digest": None})):
        first = spliced(json.dumps({**head, "spec": {"server": "a", "model": {**model, **more}}}, indent=indent))
        assert json.loads(first)["spec"]["model"]["digest"] == DIGEST
        again = locked("a.yaml", first.encode(), lambda _: OLD, again=True)[0]
        assert again.decode() == first.replace(DIGEST, OLD)


def test_a_digest_that_is_there_stays_unless_it_is_asked_for_again() -> None:
    text = BLOCK.replace("# here\n", f"# here\n    digest: '{OLD}' # of last week\n")
    assert spliced(text) == text
    assert spliced(text, again=True) == text.replace(OLD, DIGEST)


def test_a_deployment_that_is_not_valid_gets_no_digest_and_is_named() -> None:
    with pytest.raises(CannotLock, match=r"a\.yaml:1: fraud/scorer is not valid"):
        spliced(BLOCK.replace("server:", "sever:"))


# ---- any file

# Files are made with marks where a digest belongs: at the end of a line, behind an address in braces, or in the place
# of what is between the marks. So it is known byte by byte what has to come out.
_MARKS = {"⟪+⟫": "", "⟪,⟫": "", "⟪json⟫": "", "⟪⟫": "", "⟪~⟫": "~", "⟪null⟫": "null"}
_TEXT = st.text(
    st.characters(
        codec="utf-8",
        exclude_categories=("Cc", "Cs", "Zl", "Zp"),
        exclude_characters="⟪⟫",
        include_characters="\t",
    ),
    max_size=12,
)
_COMMENT = st.one_of(st.just(""), _TEXT.map(lambda text: f" #{text}"))
_OWN_LINE = st.one_of(st.just(""), st.just("\n"), _TEXT.map(lambda text: f"      #{text}\n"))
_URI = st.sampled_from(
    ["s3://a/b", "'s3://a/b'", '"s3://a/b"', "s3://a/b#c", "&u s3://é/😀", "!!str s3://a/b", '"s3:\\/\\/a"']
)
_REVISION = st.sampled_from(
    ["x", "'it''s'", '"\\u00e9: # no comment"', "&r 2026-11-20", "|\n      a\n      b", ">-\n      a\n\n      b"]
)
_NOTHING = st.sampled_from(["digest:⟪⟫", "digest: ⟪~⟫", "digest:   ⟪null⟫", '"digest":⟪⟫'])
_MORE = st.sampled_from(["name: m", "options: {a: 'b', c: \"d\"}", "memory: 2Gi", "smokeTest: {request: '{}'}"])
_FLOW = st.sampled_from(
    [
        "{uri: s3://a/b⟪,⟫, revision: x}",
        '{"revision": "x",   "uri": "s3://a/b"⟪json⟫}',
        "{ revision: x, # why\n    uri: 's3://a/b'⟪,⟫\n    }",
        "{digest: ⟪~⟫, uri: s3://a/b, revision: x, }",
    ]
)
_OTHERS = st.sampled_from(
    [
        "a: &x [1, 2.50, 0x1F, no]\nb: *x\n",
        "kind: ConfigMap\ndata:\n  text: |2\n      digest: ~\n    uri: s3://a/b\n",
        "- one\n- {two: 'x'}\n",
        "# nothing but a comment\n",
        HEAD + f"spec: {{server: a, model: {{uri: s3://c/d, revision: y, digest: {OLD}}}}}\n",
        HEAD + "spec: {server: a, model: {uri: s3://c/d⟪,⟫, revision: y}} # two in one file\n",
    ]
)


@st.composite
def _model(draw: st.DrawFn) -> str:
    """A block of lines, in any order, with comments between and behind them."""
    nothing = draw(st.lists(_NOTHING, max_size=1))
    lines = [f"uri: {draw(_URI)}", f"revision: {draw(_REVISION)}", *nothing, *draw(st.lists(_MORE, max_size=1))]
    written = f"{draw(_COMMENT)}\n"
    for line in draw(st.permutations(lines)):
        comment = "" if "\n" in line else draw(_COMMENT)
        here = "⟪+⟫" if line.startswith("uri") and not nothing else ""
        written += f"{draw(_OWN_LINE)}    {line}{comment}{here}\n"
    return written


@st.composite
def _file(draw: st.DrawFn) -> tuple[str, str]:
    """A valid file with at least one model that has no digest, and what it has to become."""
    model = draw(st.one_of(_model(), _FLOW.map(lambda text: f" {text}\n")))
    tail = draw(st.sampled_from(["", "  traffic: {hostnames: [a.b]}\n", "  # end\n", "\n\n"]))
    mine = f"{HEAD}spec:{draw(_COMMENT)}\n  server:   gpu-a{draw(_COMMENT)}\n  model:{model}{tail}"
    documents = [*draw(st.lists(_OTHERS, max_size=2)), mine, *draw(st.lists(_OTHERS, max_size=2))]
    text = draw(st.sampled_from(["", "---\n", "# first\n---\n"])) + "---\n".join(documents)
    text = text if draw(st.booleans()) else text.rstrip("\n")
    line_end = draw(st.sampled_from(["\n", "\r\n"]))
    text = draw(st.sampled_from(["", "\ufeff"])) + text.replace("\n", line_end)
    written = {
        "⟪+⟫": f"{line_end}    digest: {DIGEST}",
        "⟪,⟫": f", digest: {DIGEST}",
        "⟪json⟫": f', "digest": "{DIGEST}"',
        "⟪⟫": f" {DIGEST}",
    }
    return _replaced(text, _MARKS), _replaced(text, {**dict.fromkeys(_MARKS, DIGEST), **written})


def _replaced(text: str, words: dict[str, str]) -> str:
    return re.sub("⟪.*?⟫", lambda found: words[found.group()], text)


@settings(max_examples=400, deadline=None)
@given(_file())
def test_outside_the_digests_every_byte_stays(file: tuple[str, str]) -> None:
    before, expected = (text.encode() for text in file)
    after, results = locked("a.yaml", before, lambda _: DIGEST, again=False)
    assert [str(one) for one in results if isinstance(one, CannotLock)] == []
    assert after == expected
    assert locked("a.yaml", after, lambda _: OLD, again=False) == (after, [])


@settings(max_examples=200, deadline=None)
@given(_file())
def test_what_was_locked_once_is_locked_anew_in_the_same_place(file: tuple[str, str]) -> None:
    first = file[1].encode()
    again, results = locked("a.yaml", first, lambda _: OLD, again=True)
    assert [str(one) for one in results if isinstance(one, CannotLock)] == []
    assert again == first.replace(DIGEST.encode(), OLD.encode())


@settings(max_examples=400, deadline=None)
@given(
    st.text(st.sampled_from("a#:,-~ \t\r\n\x07\x85\u2028\ufeff{}[]&*!|>'\"%@`é😀"), max_size=20),
    st.sampled_from(["spec:", "  server: gpu-a", "  model:", "# here", 'revision: "1"', "s3://a/b", "name: x"]),
    st.booleans(),
)
def test_whatever_is_in_a_file_it_is_locked_or_left_alone_and_said(wild: str, where: str, is_windows: bool) -> None:
    """Much of this is no YAML, or none that all programs read alike."""
    text = BLOCK.replace(where, f"{where}{wild}")
    before = (text.replace("\n", "\r\n") if is_windows else text).encode()
    after, results = locked("a.yaml", before, lambda _: DIGEST, again=False)
    written = [one for one in results if not isinstance(one, CannotLock)]
    if written:
        (line,) = [one for one in after.splitlines(keepends=True) if DIGEST.encode() in one]
        assert line.strip() == f"digest: {DIGEST}".encode()
        assert before == after.replace(line, b"")
    else:
        assert after == before


# ---- the program


def _deployment(folder: Path, name: str, uri: str) -> Path:
    path = folder / name
    path.write_text(BLOCK.replace("s3://a/b", uri))
    return path


def _digest_of(revision: str) -> str:
    """By the example that names it."""
    assert revision == "1"
    text = (MODELS.parents[1] / "repo" / "fraud" / "deployments" / "scorer.yaml").read_text()
    found = re.search("sha256:[0-9a-f]{64}", text)
    assert found is not None
    return found.group()


def test_the_program_locks_real_artifacts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = _deployment(tmp_path, "good.yaml", (MODELS / "1").as_uri())
    text = good.read_text()
    _deployment(tmp_path, "bad.yaml", (tmp_path / "absent").as_uri())
    (tmp_path / "other.yaml").write_text("a: [")
    assert main(["lock", str(tmp_path)]) == 1
    output = capsys.readouterr()
    assert output.out == f"{good}:8: fraud/scorer {_digest_of('1')}\n"
    assert good.read_text() == text.replace("# here\n", f"# here\n    digest: {_digest_of('1')}\n")
    assert "bad.yaml:8:5" in output.err
    assert "Traceback" not in output.err
    assert main(["lock", str(good)]) == 0
    assert capsys.readouterr().out == ""


def test_check_names_what_was_expected_and_found_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(MODELS / "1", tmp_path / "model")
    uri = (tmp_path / "model").as_uri()
    right, none = _deployment(tmp_path, "right.yaml", uri), _deployment(tmp_path, "none.yaml", uri)
    assert main(["lock", "--quiet", str(right)]) == 0
    before = {path: path.read_bytes() for path in (right, none)}
    assert main(["lock", "--check", str(tmp_path)]) == 1
    digest = _digest_of("1")
    assert capsys.readouterr().out == f"{none}:8:5: the digest of fraud/scorer: expected {digest}, found none\n"
    (tmp_path / "model" / "more.txt").write_text("new")
    assert main(["lock", "--check", str(right)]) == 1
    found = capsys.readouterr().out
    assert found.startswith(f"{right}:9:13: the digest of fraud/scorer: expected sha256:")
    assert found.endswith(f", found {digest}\n")
    assert {path: path.read_bytes() for path in (right, none)} == before
    assert main(["lock", "--update", "--quiet", str(right)]) == 0
    assert main(["lock", "--check", str(right)]) == 0
    assert capsys.readouterr().out == ""


def test_a_dash_is_a_filter(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = _deployment(tmp_path, "a.yaml", (MODELS / "1").as_uri()).read_text().replace("\n", "\r\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert main(["lock", "-"]) == 0
    output = capfdbinary.readouterr()
    digest = _digest_of("1")
    assert output.out.decode() == text.replace("# here\r\n", f"# here\r\n    digest: {digest}\r\n")
    assert output.err.decode() == f"<stdin>:8: fraud/scorer {digest}\n"


def test_without_a_path_everything_in_the_folder_that_is_named_is_locked(tmp_path: Path) -> None:
    path = _deployment(tmp_path, "a.yaml", (MODELS / "1").as_uri())
    assert main(["lock", "--quiet", "-C", str(tmp_path)]) == 0
    assert _digest_of("1") in path.read_text()


def test_a_file_keeps_its_mode_and_the_link_that_leads_to_it(tmp_path: Path) -> None:
    path, link = _deployment(tmp_path, "a.yaml", (MODELS / "1").as_uri()), tmp_path / "link.yaml"
    path.chmod(0o640)
    link.symlink_to(path)
    assert main(["lock", "--quiet", str(link)]) == 0
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert _digest_of("1") in path.read_text()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.yaml", "link.yaml"]


def test_what_a_person_writes_meanwhile_is_not_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _deployment(tmp_path, "a.yaml", "https://models/1")

    def slow(_: str, **__: object) -> str:
        path.write_text("# mine\n")
        return DIGEST

    monkeypatch.setattr("render.commands.lock.storage_digest", slow)
    assert main(["lock", str(path)]) == 1
    assert path.read_text() == "# mine\n"
    assert "was changed in the meantime" in capsys.readouterr().err


def test_an_artifact_is_read_once_however_many_serve_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def counting(uri: str, **_: object) -> str:
        asked.append(uri)
        return DIGEST

    monkeypatch.setattr("render.commands.lock.storage_digest", counting)
    text = _deployment(tmp_path, "a.yaml", "https://models/1").read_text()
    (tmp_path / "b.yaml").write_text(text + "---\n" + text)
    assert main(["lock", "--quiet", str(tmp_path)]) == 0
    assert asked == ["https://models/1"]
    assert (tmp_path / "b.yaml").read_text().count(DIGEST) == 2


def test_artifacts_behind_http_are_read_too(tmp_path: Path) -> None:
    with serving_directory(tmp_path) as url:
        shutil.make_archive(str(tmp_path / "model"), "gztar", MODELS / "1")
        path = _deployment(tmp_path, "a.yaml", f"{url}/model.tar.gz")
        assert main(["lock", "--quiet", str(path)]) == 0
    assert _digest_of("1") in path.read_text()


_PROGRAM = "import signal, sys; from render.cli import main; "
_PROGRAM += "signal.signal(signal.SIGINT, signal.default_int_handler); "  # in the background of a shell it is ignored
_PROGRAM += "signal.signal(signal.SIGHUP, getattr(signal, sys.argv[1])); sys.exit(main(['lock', sys.argv[2]]))"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("hang_up", ["SIG_DFL", "SIG_IGN"])
def test_what_is_ended_in_mid_download_leaves_nothing_behind(
    number: signal.Signals, hang_up: str, tmp_path: Path
) -> None:
    """By any signal but one that is to be ignored, as after `nohup`."""

    class Endless(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            head = tarfile.TarInfo("model")
            head.size = 1 << 30
            self.wfile.write(head.tobuf() + bytes(1 << 20))
            over.wait()

        def log_message(self, *_: object) -> None:
            pass

    over, temporary = threading.Event(), tmp_path / "temporary"
    temporary.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    path = _deployment(tmp_path, "a.yaml", f"http://127.0.0.1:{server.server_address[1]}/model.tar")
    before = path.read_bytes()
    command = [sys.executable, "-c", _PROGRAM, hang_up, str(path)]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(command, cwd=MODELS.parents[2], env=environment) as process:
        asyncio.run(eventually(lambda: any(one.is_file() for one in temporary.rglob("*")), what="a download"))
        process.send_signal(number)
        if (number, hang_up) == (signal.SIGHUP, "SIG_IGN"):
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1)
            process.terminate()
        assert process.wait() == 130
    over.set()
    server.shutdown()
    server.server_close()
    assert list(temporary.iterdir()) == []
    assert path.read_bytes() == before


def test_what_a_file_says_cannot_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _deployment(tmp_path, "a\x1b[2J.yaml", '"s3://a/\\e[31mb"')
    assert main(["lock", "-C", str(tmp_path)]) == 1
    output = capsys.readouterr()
    assert "s3://a/�[31mb: no storage for s3://" in output.err
    assert "\x1b" not in output.err


# ---- progress


def _shown(advance: Callable[[Progress, list[float]], None]) -> str:
    """What a terminal gets: `advance` moves the clock, a list of one time."""
    out, clock = io.StringIO(), [0.0]
    progress = Progress("s3://a/b", out, lambda: clock[0])
    progress.expect(4 << 20)
    advance(progress, clock)
    progress.end()
    return out.getvalue()


def test_what_is_over_within_a_second_shows_no_progress() -> None:
    assert _shown(lambda progress, _: progress.advance(1 << 20)) == ""


def test_long_work_shows_how_far_it_is_on_one_line_and_takes_it_away() -> None:
    def advance(progress: Progress, clock: list[float]) -> None:
        for seconds in (0.5, 1.5, 1.55, 2.5):
            clock[0] = seconds
            progress.advance(1 << 20)

    first, second = "s3://a/b: 2.0 MiB of 4.0 MiB, 50 %", "s3://a/b: 4.0 MiB of 4.0 MiB, 100 %"
    assert _shown(advance) == f"\r{first}\r{second}\r{' ' * len(second)}\r"


def test_a_line_is_no_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")

    def advance(progress: Progress, clock: list[float]) -> None:
        clock[0] = 9.0
        progress.advance(5)

    assert _shown(advance).startswith("\r…es of 4.0 MiB, 0 %\r")
