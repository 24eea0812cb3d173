"""Files: what a server reads by its path and no package brings, a tokenizer's vocabulary or a chat template."""

from mirror.core.kinds.kind import Kind

FILE = Kind(
    "file",
    "files",
    "file",
    "files",
    component="file",
    unknown_to_advisories="no project of an index",
    licensed_by='licence = "MIT" or the like in its [[files]] of NAME.toml',
    is_data=True,
    is_compiled_against=False,
    is_nested=True,
    version=2,
)
