"""Models: repositories of a Hugging Face hub at one revision, file by file."""

from mirror.core.kinds.kind import Kind

MODEL = Kind(
    "model",
    "models",
    "model file",
    "model files",
    component="machine-learning-model",
    unknown_to_advisories="no project of an index",
    is_compiled_against=False,
    is_nested=True,
    version=2,
)
