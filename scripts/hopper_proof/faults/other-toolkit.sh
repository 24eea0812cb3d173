# CUDA_HOME names a directory without a compiler, and nothing is compiled yet.
export CUDA_HOME=/opt/cuda-that-is-gone CUDA_PATH=/opt/cuda-that-is-gone VLLM_USE_FLASHINFER_SAMPLER=1
. "$PROOF_FAULTS/empty-caches.sh"
