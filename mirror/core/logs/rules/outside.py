"""What is said when nothing nearer was: settings that are refused, the network, packages that do not go together."""

from __future__ import annotations

from mirror.core.logs.finding import VERSIONS
from mirror.core.logs.layers import NETWORK, PACKAGE, SETTINGS
from mirror.core.logs.rules.rule import Rule

RULES = (
    Rule(
        "context-too-long",
        SETTINGS,
        (
            r"User-specified max_model_len \((?P<wanted>\d+)\) is greater",
            r"max_model_len.{0,40}(?:greater|larger|longer) than",
            r"[Cc]ontext.length.{0,60}(?:greater|larger|longer) than the model",
        ),
        "a longer context is asked for than the model was made for: {wanted} tokens",
        "--max-model-len (SGLang: --context-length) is above the model's own limit, which its config.json says",
        "grep -E 'max_position_embeddings|max_model_len|rope' config.json, in the model's directory",
        "lower --max-model-len, or take it out: the model's own limit is the default",
    ),
    Rule(
        "usage",
        SETTINGS,
        (
            r"unrecognized arguments",
            r"error: argument ",
            r"invalid choice:",
            r"the following arguments are required",
            r"No such option",
            r"[Uu]nknown (?:argument|option|flag)",
            r"ValidationError",
            r"validation error",
            r"Extra inputs are not permitted",
            r"[Uu]nsupported (?:value|backend|attention)",
            r"Invalid (?:value|attention backend)",
            r"Selected backend .{0,80}not valid",
            r"is not a valid (?:value|\w*[Bb]ackend)",
            r"Unknown (?:attention )?backend",
        ),
        "the server does not take an option or value as it was given",
        "its name or its value is of another release, or it does not go with the model",
        "the command with --help; its version",
        "correct the option that the line names; options move between releases, so read the help of the one that "
        "is installed",
        is_certain=False,
    ),
    Rule(
        "name-not-resolved",
        NETWORK,
        (r"cannot be retrieved \(gai error", r"host not found"),
        "a host's name is not known here",
        "a peer, a store or this host itself is named by a name that neither /etc/hosts nor DNS knows",
        "getent hosts the name; hostname; hostname -i; cat /etc/hosts",
        "name hosts by their addresses (MASTER_ADDR, VLLM_HOST_IP, --dist-init-addr), or have the name put "
        "into /etc/hosts",
        may_be=(
            (
                r"^(?!.*(?:https?://|HTTPS?Conn|urlopen|NewConnectionError|Max retries)).*"
                r"(?:Name or service not known|getaddrinfo|[Tt]emporary failure in name resolution|nodename nor servname)"
            ),
        ),
    ),
    Rule(
        "network-out",
        NETWORK,
        (
            (
                r"(?:Name or service not known|[Tt]emporary failure in name resolution|NameResolutionError|getaddrinfo|"
                r"Could not resolve host|nodename nor servname|dns error|failed to lookup address|"
                r"[Nn]etwork is unreachable|No route to host|Max retries exceeded|ConnectTimeout|ReadTimeout|ProxyError|"
                r"Tunnel connection failed|error sending request for url|Connection (?:refused|timed out|reset)|URLError|"
                r"urlopen error|[Ff]ailed to (?:download|fetch)|SSLCertVerificationError|"
                r"CERTIFICATE_VERIFY_FAILED)(?:.{0,200}?(?P<host>https?://[\w.-]+|host='[\w.-]+'))?"
            ),
        ),
        "something was wanted from the network, which does not answer here: {host}",
        "a closed network has no way out; what is fetched at first use must be carried, or switched off",
        "grep -n -E 'https?://' in the log around this line; env | grep -i proxy",
        "find what asks for it and carry it ([[files]], [[models]]), or switch it off ('. env.sh' sets "
        "HF_HUB_OFFLINE and its like)",
        is_certain=False,
    ),
    Rule(
        "package-versions",
        PACKAGE,
        (
            r"[Vv]ersion mismatch",
            r"conflicting option string",
            r"numpy\.dtype size changed",
            r"multiarray failed to import",
            r"Numpy is not available",
            r"binary incompatibility",
            r"compiled (?:with|using|against) .{0,30}(?:version|NumPy)",
            r"operator \w+::\w+ does not exist",
            r"was built (?:for|against|with) .{0,40}(?:torch|CUDA|numpy)",
            r"(?:requires|but you have|is required for|but found|incompatible|mismatch).{0,80}(?:==|>=|<=|<|version)",
            r"version .{0,60}(?:mismatch|does not match|incompatible)",
            r"DistributionNotFound",
            r"VersionConflict",
            r"PackageNotFoundError",
            r"No package metadata was found",
            r"is not compatible with",
        ),
        "two packages of the venv do not go together, or one is missing",
        "they were not locked together, or the venv was changed after it was installed",
        VERSIONS,
        "install from the lock again (mirror install, mirror status --check); change versions in NAME.toml and "
        "lock again",
        is_certain=False,
    ),
)
