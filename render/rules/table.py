"""Every rule, explained: the one table of them. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from render.rules import Rule
from render.rules.comments import COMMENTS
from render.rules.explained import Explained
from render.rules.fields import FIELDS
from render.rules.grants import GRANTS
from render.rules.michelangelo import MICHELANGELO
from render.rules.reading import READING
from render.rules.references import REFERENCES
from render.rules.repository import REPOSITORY
from render.rules.rollout import ROLLOUT

_TABLES = (READING, FIELDS, REFERENCES, GRANTS, ROLLOUT, REPOSITORY, COMMENTS, MICHELANGELO)

RULES: Final[Mapping[Rule, Explained]] = MappingProxyType(
    {rule: one for table in _TABLES for rule, one in sorted(table.items())}
)
