"""Models: their files, their code, their description, and the vocabularies beside them."""

from __future__ import annotations

from mirror.core.logs.finding import VERSIONS
from mirror.core.logs.layers import MODEL, NETWORK, PACKAGE, SETTINGS
from mirror.core.logs.rules.rule import Rule

RULES = (
    Rule(
        "vocabulary-offline",
        NETWORK,
        (
            r"(?:download|load)ing (?:or loading )?vocab(?:ulary)? file",
            r"HarmonyError",
            r"openaipublic",
            r"\.tiktoken\b.{0,200}(?:resolve|refused|timed out|unreachable|[Mm]ax retries|retrieve)",
        ),
        "a tokenizer's vocabulary could not be downloaded",
        "tiktoken and openai-harmony fetch it at first use; nothing is fetched in a closed network",
        "echo $TIKTOKEN_ENCODINGS_BASE $TIKTOKEN_RS_CACHE_DIR $TIKTOKEN_CACHE_DIR",
        "carry the file ([[files]] with directory_variable = TIKTOKEN_ENCODINGS_BASE in NAME.toml) and start "
        "with '. env.sh'",
        may_be=(r"^(?!.*No module named).*tiktoken", r"o200k_base", r"cl100k_base"),
    ),
    Rule(
        "model-not-here",
        MODEL,
        (
            r"offline mode is enabled",
            r"OfflineModeIsEnabled",
            r"LocalEntryNotFoundError",
            r"couldn't connect to '?https?://",
            r"HF_HUB_OFFLINE",
            r"cannot find the requested files in the (?:local|disk) cache",
            r"not the path to a directory containing a file named",
            (
                r"(?:[Mm]ax retries|ConnectionError|ConnectTimeout|NameResolutionError|LocalEntry|Cannot reach|"
                r"Failed to resolve|HTTPSConnectionPool|Connection to).{0,200}(?:huggingface\.co|hf\.co|hf-mirror|"
                r"modelscope\.cn)"
            ),
            (
                r"(?:huggingface\.co|hf\.co|hf-mirror|modelscope\.cn).{0,300}(?:offline|resolve|timed out|unreachable|"
                r"refused|reset)"
            ),
            r"is not a local folder and is not a valid model identifier",
            r"Repository Not Found",
            r"couldn't find (?:it|them) in the cached files",
        ),
        "a model, or a file of one, is wanted from a hub, and is not on this host",
        "it is named as the hub names it, and the hub's cache here does not hold it (or not this revision, or "
        "not this file)",
        "ls $HF_HUB_CACHE $HF_HOME/hub ~/.cache/huggingface/hub; echo $HF_HUB_OFFLINE $HF_HOME",
        "give the server the local path of the model's directory; to carry one: [[models]] in NAME.toml, then '. "
        "env.sh' sets HF_HUB_CACHE",
    ),
    Rule(
        "hub-token",
        MODEL,
        (
            r"[Gg]ated [Rr]epo",
            r"GatedRepoError",
            r"40[13] Client Error.{0,200}(?:huggingface|hf\.co|hf-mirror|modelscope)",
            r"You must (?:be authenticated|have access)",
        ),
        "a hub refused access to a model",
        "it is gated, or no token, or an old one, was given; in a closed network nothing is asked for at all",
        "echo $HF_TOKEN | wc -c; ls the path that was given to --model",
        "carry the model ([[models]] in NAME.toml) and give its local path; where the hub is reached, accept "
        "its terms and set HF_TOKEN",
        may_be=(
            r"40[13] Client Error",
            r"Invalid (?:username|user) or password",
            r"Invalid credentials",
            r"restricted\b.{0,60}(?:model|access)",
            r"^(?!.*(?:[Tt]unnel|[Pp]roxy)).*403 Forbidden",
        ),
    ),
    Rule(
        "chat-template",
        MODEL,
        (r"chat[_ ]template", r"jinja2\.exceptions", r"TemplateError"),
        "the model's chat template is missing, or does not take these messages",
        "the tokenizer brings none, or the roles of the messages are none that it knows",
        "grep -l chat_template the model's tokenizer_config.json; ls chat_template.jinja",
        "give one with --chat-template FILE (carried as [[files]])",
        is_certain=False,
    ),
    Rule(
        "remote-code",
        MODEL,
        (
            r"trust_remote_code",
            r"contains custom code which must be executed",
            r"dynamic_module_utils",
            r"transformers_modules",
        ),
        "the model brings code of its own, which was not allowed to run, or is not here",
        "its config names Python files of the repository; offline they must lie beside it",
        "ls the model's directory for *.py; grep auto_map in its config.json",
        "carry those files with the model, read them, and start with --trust-remote-code if they may run",
        is_certain=False,
    ),
    Rule(
        "model-damaged",
        MODEL,
        (
            r"SafetensorError",
            r"deserializing header",
            r"MetadataIncompleteBuffer",
            r"InvalidHeaderDeserialization",
            r"PytorchStreamReader failed",
            r"invalid load key",
            r"version https://git-lfs",
            r"git-lfs\.github",
            r"Error while deserializ",
            r"HeaderTooLarge",
            r"HeaderTooSmall",
        ),
        "a file of the model's weights is damaged, cut short, or only a git-lfs pointer",
        "it was not copied whole",
        "ls -l the model's directory; head -c 120 the file that is named; sha256sum it against its source",
        "copy it again and compare its sha256; a file of about 130 bytes is a git-lfs pointer",
        may_be=(
            r"unexpected end of (?:data|file)",
            r"UnpicklingError: pickle data was truncated(?!.*(?:_inductor|codecache|triton))",
        ),
    ),
    Rule(
        "model-files-missing",
        MODEL,
        (
            r"Unable to load weights from",
            r"IncompleteSnapshot",
            r"snapshot .{0,200}incomplete",
            r"file\(s\) are missing",
            r"does not appear to have a file named",
            (
                r"(?:config\.json|tokenizer[\w.]*|generation_config\.json|preprocessor_config\.json|\.safetensors|\.gguf|"
                r"model\.index)\S*'?.{0,60}(?:not found|No such file|does not exist|missing)"
            ),
            r"No such file or directory: '[^']*(?:config\.json|tokenizer|\.safetensors|\.bin|\.gguf)",
            r"Cannot find any model weights",
            r"no file named .{1,160} found in",
            r"Can't load (?:the )?(?:tokenizer|config\w*|feature extractor|image processor)",
            r"is not a (?:valid )?(?:directory|JSON file)",
            r"[Mm]odel path .{0,80}(?:not exist|not found)",
            r"Incorrect path_or_model_id",
            r"Repo id must be in the form",
        ),
        "a file of the model is missing, or the model's path is wrong",
        "the directory does not hold what the server looks for, or the path was misspelt and taken for a hub's name",
        "ls -l the path that was given to --model",
        "give the path of the directory that has config.json, the tokenizer's files and the weights",
        is_certain=False,
    ),
    Rule(
        "model-unknown",
        MODEL,
        (
            r"Tokenizer class \S+ does not exist",
            r"Model architectures? .{0,120}(?:not supported|are not supported|failed to be inspected)",
            r"model type .{0,60}(?:does not recognize|not recognize)",
            r"does not recognize this architecture",
            r"Unrecognized (?:model|configuration class)",
            r"not supported for now",
            r"No model_type",
            r"KeyError: '(?:[\w.]*\.)?(?:model|layers|transformer|language_model|visual|vision\w*|mlp|embed_tokens)\.",
            r"KeyError: '[\w.]+\.(?:weight|bias|qweight|scales|absmax|weight_\w+)'",
            r"Cannot find model module",
            r"Unknown quantization",
            r"[Qq]uantization .{0,60}(?:not supported|is not)",
            r"[Cc]ompressed.tensors .{0,60}scheme was",
            r"size mismatch for",
            r"shape .{0,60}(?:mismatch|does not match)",
            r"no module or parameter named",
        ),
        "this release of the server does not know the model, or its weights do not fit its description",
        "the model is newer than transformers or the server, or its files are of two versions",
        VERSIONS + " | grep -i -E 'transformers|vllm|sglang'; grep -E "
        "'architectures|model_type|transformers_version|quant' in its config.json",
        "lock a newer server and transformers, or take the model's revision that goes with this one",
        is_certain=False,
    ),
    Rule(
        "heads-not-divisible",
        SETTINGS,
        (
            r"(?:heads?|parallel|vocab\w*|hidden|intermediate|experts?|layers).{0,160}(?:must be|not|is not) divisible by",
            r"divisible by .{0,80}(?:parallel|world.size|tp.size)",
        ),
        "the model cannot be split as it was asked for",
        "heads, layers or sizes of the model are no multiple of the parallel size",
        "grep -E 'num_attention_heads|num_key_value_heads|intermediate_size' in the model's config.json",
        "choose a --tensor-parallel-size that divides them",
        may_be=(r"must be divisible by", r"not divisible by", r"is not divisible"),
    ),
    Rule(
        "tokenizer-format",
        PACKAGE,
        (r"data did not match any variant of untagged enum",),
        "the installed tokenizers does not read this model's tokenizer.json",
        "the file is of another release of tokenizers than the one that is installed, or is not whole",
        VERSIONS + " | grep -i -E 'tokenizers|transformers'; head -c 300 tokenizer.json",
        "lock the transformers and tokenizers that go with the model",
        may_be=(r"Couldn't instantiate the backend tokenizer",),
    ),
    Rule(
        "engine-other-version",
        MODEL,
        (
            r"engine plan file is not compatible",
            r"expecting library version \S+ got \S+",
            r"Serialization assertion .{0,60}[Vv]ersion",
        ),
        "a compiled engine is of another release of TensorRT than the one that loads it",
        "engines are bound to the release, and the GPU, that they were built with",
        VERSIONS + " | grep -i tensorrt",
        "build the engine again with the release that serves it, or install the release that it was built with",
    ),
)
