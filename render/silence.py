"""Comments in people's files that silence a warning: `# fresco: ignore FR043 because there is no second GPU yet`. Pure.

Such a comment silences one rule on one line: its own, or, where it stands alone, the next. Only warnings are silenced.
An error is what the agent refuses a resource for, and that a comment cannot make right; one that tries to is a finding
itself. So is one that names no rule, gives no reason, or silences nothing.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from render.document import Comment
from render.rules import Rule, named
from schemas.status import Finding

MARK = "fresco: ignore"

_ASKS = re.compile(rf"#[ \t]*{MARK}(?![\w-])[ \t]*(\S*)[ \t]*(.*)")
_REASON = re.compile(r"because\s+\S")
_FORM = "write `# fresco: ignore FRnnn because …`"

_Where = tuple[str, int, str]  # file, line, rule


class _Silence(NamedTuple):
    """What a comment asks for, in good order."""

    file: str
    comment: Comment
    rule: Rule

    @property
    def where(self) -> _Where:
        return self.file, self.comment.target, self.rule.value

    def finding(self, rule: Rule, message: str, hint: str | None = None) -> Finding:
        return _finding(self.file, self.comment, rule, message, hint)


def silenced(findings: Sequence[Finding], comments: Mapping[str, Iterable[Comment]]) -> list[Finding]:
    """`findings`, all there are, without the warnings that `comments`, by file, silence, and with those about comments.

    That a comment silences nothing is not said of a file with errors, because a resource with errors is not looked at
    for warnings.
    """
    there: dict[_Where, list[Finding]] = defaultdict(list)
    for one in findings:
        there[one.file, one.line, one.rule].append(one)
    with_errors = {one.file for one in findings if one.severity == "error"}
    read = [one for file, those in comments.items() for comment in those for one in _read(file, comment)]
    silences = [one for one in read if isinstance(one, _Silence)]
    silent = {one.where for one in silences}
    left = [one for one in findings if one.severity == "error" or (one.file, one.line, one.rule) not in silent]
    about = [one for one in read if isinstance(one, Finding)]
    for asked in silences:
        if any(one.severity == "error" for one in there.get(asked.where, ())):
            message = f"{asked.rule} is an error here, and only warnings are ignored"
            about.append(asked.finding(Rule.IGNORED_ERROR, message))
        elif asked.where not in there and asked.file not in with_errors:
            message = f"line {asked.comment.target} has no finding {asked.rule} to ignore"
            about.append(asked.finding(Rule.IGNORED_NOTHING, message, "remove the comment"))
    return [*left, *about]


def _read(file: str, comment: Comment) -> Iterator[_Silence | Finding]:
    """What the comment asks for, or what is wrong with it; nothing where it asks for nothing."""
    asks = _ASKS.match(comment.text)
    if asks is None:
        return
    rule, rest = asks.groups()
    if rule not in tuple(Rule):
        close = named.meant(rule)
        hint = f"did you mean {close}?" if close is not None else f"{_FORM}; {named.LISTED}"
        yield _finding(file, comment, Rule.IGNORED_UNKNOWN, f"expected the id of a rule, got {rule or 'nothing'}", hint)
    elif _REASON.match(rest) is None:
        message = f"expected the reason why {rule} is ignored here, got {rest.strip() or 'nothing'}"
        yield _finding(file, comment, Rule.IGNORED_WITHOUT_REASON, message, _FORM)
    else:
        yield _Silence(file, comment, Rule(rule))


def _finding(file: str, comment: Comment, rule: Rule, message: str, hint: str | None) -> Finding:
    line, column = comment.at
    return Finding(file=file, line=line, column=column, rule=rule.value, message=message, severity="warning", hint=hint)
