"""What a change of the repository will do to a cluster, before it is merged. Pure.

`change` puts it together as the values of `schemas.change`; `text` and `markdown` show them to people. How a change
spreads is not told here a second time: the very rules of `render.rollout` are asked what they would begin.
"""
