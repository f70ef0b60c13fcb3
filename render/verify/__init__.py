"""`fresco verify`: whether the history of a cluster's branch is what the agent can have written.

`changes`: one resource's status against the one before it. `replay`: the commits of a branch, one after the other.
"""
