# The caches lie on a file system of 1 MiB (with --small).
. "$PROOF_FAULTS/empty-caches.sh"
small=$PROOF_WORK/small
export TRITON_CACHE_DIR=$small/triton TORCHINDUCTOR_CACHE_DIR=$small/inductor VLLM_CACHE_ROOT=$small/vllm
export FLASHINFER_WORKSPACE_BASE=$small/flashinfer VLLM_USE_FLASHINFER_SAMPLER=1
