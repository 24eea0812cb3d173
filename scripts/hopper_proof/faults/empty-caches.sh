# Sourced by others: caches with nothing in them.
empty=$(mktemp -d "$PROOF_WORK/empty.XXXXXX")
export TRITON_CACHE_DIR=$empty/triton TORCHINDUCTOR_CACHE_DIR=$empty/inductor VLLM_CACHE_ROOT=$empty/vllm
export FLASHINFER_WORKSPACE_BASE=$empty/flashinfer
