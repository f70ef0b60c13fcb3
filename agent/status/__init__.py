"""The status agent: from git and a cluster to the next commit on the cluster's branch.

`observe` and `reports` see, the rules in `render.rollout` decide, `writeback` commits and pushes, `loop` turns them.
It holds no state that is not in git or in the cluster: killed at any moment and started again, it goes on.
"""
