"""The rules that files are held to: one table of ids and titles. Pure.

Ids are for ever; a rule that goes leaves its id unused.
"""

from enum import StrEnum


class Rule(StrEnum):
    """Rule ids by what they are about."""

    UNREADABLE = "FR001"
    YAML_FEATURE = "FR002"
    DUPLICATE_KEY = "FR003"
    UNKNOWN_KIND = "FR004"
    NO_IDENTITY = "FR005"
    UNKNOWN_FIELD = "FR010"
    MISSING_FIELD = "FR011"
    WRONG_TYPE = "FR012"
    WRONG_VALUE = "FR013"
    DUPLICATE_RESOURCE = "FR020"
    UNKNOWN_SERVER = "FR021"
    DUPLICATE_MODEL = "FR022"
    DUPLICATE_ROUTE = "FR023"
    UNSUPPORTED_TYPE = "FR024"
    NAME_TOO_LONG = "FR025"
    NO_VERSION = "FR026"
    HOSTNAME_NOT_GRANTED = "FR030"
    PATH_NOT_GRANTED = "FR031"
    STORAGE_NOT_GRANTED = "FR032"
    SECRET_NOT_GRANTED = "FR033"
    IMAGE_NOT_GRANTED = "FR034"
    FILE_NOT_LOCAL = "FR035"
    CLAIM_NOT_DECLARED = "FR036"
    NO_DIGEST = "FR040"
    NO_REASON = "FR041"
    WEIGHTS_NOT_RISING = "FR042"
    STEPS_WITHOUT_CANARY = "FR043"
    STEP_TOO_LARGE = "FR044"
    REPLICAS_REVERSED = "FR045"
    MEMORY_TOO_SMALL = "FR046"
    CONFIG_TOO_LARGE = "FR047"
    NO_REPOSITORY = "FR050"
    EXTRA_REPOSITORY = "FR051"
    UNKNOWN_CLUSTER = "FR052"
    DELETION_HELD = "FR060"
    DELETION_UNTRUSTED = "FR061"
    IGNORED_WITHOUT_REASON = "FR070"
    IGNORED_UNKNOWN = "FR071"
    IGNORED_NOTHING = "FR072"
    IGNORED_ERROR = "FR073"


RULES: dict[Rule, str] = {
    Rule.UNREADABLE: "A file that claims Fresco's apiVersion can be read as YAML",
    Rule.YAML_FEATURE: "Only plain YAML is used: no own tags, no merge keys, few aliases",
    Rule.DUPLICATE_KEY: "A key comes once in a mapping",
    Rule.UNKNOWN_KIND: "apiVersion and kind are ones that Fresco knows",
    Rule.NO_IDENTITY: "A resource has a name, and a namespace if any, that can be read",
    Rule.UNKNOWN_FIELD: "Fields are ones that the schema knows",
    Rule.MISSING_FIELD: "Required fields are there",
    Rule.WRONG_TYPE: "Values have the type that the schema asks for",
    Rule.WRONG_VALUE: "Values are within what the schema allows",
    Rule.DUPLICATE_RESOURCE: "A resource is defined once",
    Rule.UNKNOWN_SERVER: "A Deployment's server exists in its namespace",
    Rule.DUPLICATE_MODEL: "A served name is used once on a server",
    Rule.DUPLICATE_ROUTE: "Hostname, path and headers of a route are used once in a cluster",
    Rule.UNSUPPORTED_TYPE: "A model's type is one that the server's backend takes",
    Rule.NAME_TOO_LONG: "Names made from a resource's name fit Kubernetes' limit",
    Rule.NO_VERSION: "A server has a version where its image asks for one",
    Rule.HOSTNAME_NOT_GRANTED: "Hostnames are granted to the namespace",
    Rule.PATH_NOT_GRANTED: "Paths outside the namespace's own are granted to it",
    Rule.STORAGE_NOT_GRANTED: "Addresses of artifacts are granted to the namespace",
    Rule.SECRET_NOT_GRANTED: "Secrets are granted to the namespace",
    Rule.IMAGE_NOT_GRANTED: "Images besides the defaults are granted to the namespace",
    Rule.FILE_NOT_LOCAL: "file:// is for local clusters",
    Rule.CLAIM_NOT_DECLARED: "pvc:// names a volume that the server declares",
    Rule.NO_DIGEST: "A model has a digest",
    Rule.NO_REASON: "An emergency has a reason",
    Rule.WEIGHTS_NOT_RISING: "Weights rise from step to step",
    Rule.STEPS_WITHOUT_CANARY: "Traffic steps have a canary slice to go to",
    Rule.STEP_TOO_LARGE: "A canary slice can carry each step's share",
    Rule.REPLICAS_REVERSED: "A range of replicas runs from few to many",
    Rule.MEMORY_TOO_SMALL: "The models of a server, one twice, fit its memory",
    Rule.CONFIG_TOO_LARGE: "The models of a server fit one model config",
    Rule.NO_REPOSITORY: "fresco.yaml is there and valid",
    Rule.EXTRA_REPOSITORY: "The Repository is defined once, in fresco.yaml at the top",
    Rule.UNKNOWN_CLUSTER: "The cluster is one of fresco.yaml's",
    Rule.DELETION_HELD: "Many deletions at once are permitted by name",
    Rule.DELETION_UNTRUSTED: "Nothing is missing while a file cannot be read",
    Rule.IGNORED_WITHOUT_REASON: "A comment that ignores a rule gives its reason",
    Rule.IGNORED_UNKNOWN: "A comment that ignores a rule names one that exists",
    Rule.IGNORED_NOTHING: "A comment that ignores a rule has a finding to ignore",
    Rule.IGNORED_ERROR: "Only warnings are ignored by a comment",
}
