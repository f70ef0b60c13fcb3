"""From specs to manifests: the laptop's program `fresco`, and the library that the status agent renders with.

A module is a stage: `repository` and `load` read, `validate` and `normal` judge, `rollout` decides, `objects`, `plan`
and `emit` render, `write` and `status_page` lay files out. Only `repository`, `lock` and `cli` touch the world.
"""
