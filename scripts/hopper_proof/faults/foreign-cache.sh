# The caches' directories belong to somebody else.
export VLLM_CACHE_ROOT=/root/vllm TRITON_CACHE_DIR=/root/triton FLASHINFER_WORKSPACE_BASE=/root TORCHINDUCTOR_CACHE_DIR=/root/inductor
