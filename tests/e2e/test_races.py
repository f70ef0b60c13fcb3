"""Another writer on the agent's branch: what it pushed stays, the agent decides anew on top of it."""

from pathlib import Path

from schemas.status import Stage
from tests.e2e import repository
from tests.e2e.world import World
from tests.support.git import git

# The rival comes between the agent's fetch and its push, in a moment that is certain: while git receives the push.
# Objects that are still to be accepted lie in a quarantine, in which no reference may move; the rival works outside.
_HOOK = """\
#!/bin/sh
set -eu
read -r old new reference
[ "$reference" = "refs/heads/{branch}" ] || exit 0
rm "$0"
unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
export GIT_AUTHOR_NAME=Rival GIT_AUTHOR_EMAIL=rival@example.com
export GIT_COMMITTER_NAME=Rival GIT_COMMITTER_EMAIL=rival@example.com
blob=$(echo "I was faster" | git hash-object -w --stdin)
tree=$( (git ls-tree "$old"; printf '100644 blob %s\\tRIVAL.md\\n' "$blob") | git mktree)
commit=$(git commit-tree -p "$old" -m "A rival's commit" "$tree")
git update-ref "$reference" "$commit" "$old"
"""


def test_a_rival_push_between_fetch_and_push(subject: World) -> None:
    fresco = subject.fresco
    hook = _place(fresco.bare)
    status = subject.replace(fresco.model("after-a-race"))

    assert not hook.exists(), "the rival never came"
    assert status.stage is Stage.ROLLOUT_COMPLETE
    subjects = git("log", "--format=%s", repository.BRANCH, cwd=fresco.bare).splitlines()
    assert subjects.count("A rival's commit") == 1
    assert subjects.index("A rival's commit") > 0
    assert git("log", "--merges", "--format=%H", repository.BRANCH, cwd=fresco.bare) == ""


def test_a_push_that_a_person_forbids_is_said_and_goes_on_when_it_is_allowed(subject: World) -> None:
    fresco = subject.fresco
    hook = fresco.bare / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\ngrep -q clusters/ && { echo 'the branch is frozen' >&2; exit 1; }\nexit 0\n", "utf-8")
    hook.chmod(0o755)
    tip = fresco.tip()
    subject.load.expect(subject.good.revision, "after-a-freeze")
    fresco.deploy("scorer", model := fresco.model("after-a-freeze"))
    fresco.until(lambda: "refuses the commit" in fresco.tail(), "the agent says that its push is refused")
    assert fresco.tip() == tip
    hook.unlink()
    fresco.commit({"NOTES.md": "The branch is free again.\n"})
    fresco.until_stage("scorer", Stage.ROLLOUT_COMPLETE, "after-a-freeze")
    subject.settle(model)


def _place(bare: Path) -> Path:
    hook = bare / "hooks" / "pre-receive"
    temporary = hook.with_suffix(".new")
    temporary.write_text(_HOOK.format(branch=repository.BRANCH), "utf-8")
    temporary.chmod(0o755)
    temporary.rename(hook)
    return hook
