"""Every limit and default of Fresco, in one table. Times in seconds, sizes in bytes, shares in percent. Pure."""

from typing import Final

# Set in the Repository or in a Deployment.
DEADLINE_ASSET_PREPARATION: Final = 30 * 60.0
DEADLINE_RESOURCE_ACQUISITION: Final = 10 * 60.0
DEADLINE_TRAFFIC_ROUTING: Final = 5 * 60.0  # each step, besides its soak
DEADLINE_ROLLBACK: Final = 10 * 60.0
BAKE: Final = 10 * 60.0
MAX_FAILED_REPLICAS: Final = 10  # percent of a later wave, rounded down

# Set in the InferenceServer.
QUORUM: Final = 75  # percent of live pods that "every replica" needs at least, rounded up
SIDECAR_RESYNC: Final = 15.0
DOWNLOAD_CONNECTIONS: Final = 8
DOWNLOAD_BYTES_IN_FLIGHT: Final = 64 << 20

# Set in the Repository.
MAX_DELETIONS_SHARE: Final = 20  # percent: more than this and more than the next need a permission
MAX_DELETIONS_COUNT: Final = 2
MAX_SERVERS_AT_ONCE: Final = 5  # whose pods are being replaced, by a new default image for example
SETTLE: Final = 2.0
SETTLE_ENVOY: Final = 0.5

# Set on the agent's command line.
COMMIT_WINDOW: Final = 0.2
POLL_MAIN: Final = 10.0
RESYNC: Final = 60.0

# Fixed.
MAX_REPLICAS: Final = 100_000  # of one slice: what is more is a slip of the pen
MODEL_CONFIG_BYTES: Final = 900 << 10
REPORT_BYTES: Final = 4 << 20
MESSAGE_CHARACTERS: Final = 1000
REPORT_POLL: Final = 30.0
LOAD_DEADLINE: Final = 5 * 60.0
LOAD_ATTEMPTS: Final = 3  # of a load the server refuses, before the refusal is taken for certain
