# FlashInfer's cache holds modules that were cut short, and its build files say that they are built.
full=$FLASHINFER_WORKSPACE_BASE
. "$PROOF_FAULTS/empty-caches.sh"
mkdir -p "$FLASHINFER_WORKSPACE_BASE"
cp -a "$full/.cache" "$FLASHINFER_WORKSPACE_BASE/"
find "$FLASHINFER_WORKSPACE_BASE" -name '*.so' -exec truncate -s 4096 {} +
export VLLM_USE_FLASHINFER_SAMPLER=1
