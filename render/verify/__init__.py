"""`fresco verify`: whether the history of a cluster's branch is what the agent can have written.

`changes`: one resource's status against the one before it; of InferenceServers `server_changes`, which follows their
transitions in `server_walk`; of what goes `deletions`. `replay`: the commits of a branch, one after the other.
"""
