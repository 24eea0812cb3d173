# FlashInfer's cache holds a kernel that was linked with the libraries of another CUDA. It is spoilt where it is, for ninja compiles
# anew what lies elsewhere; a layer, whose modules win, is taken away before.
mirror cache remove --prefix "$PROOF_WORK/installed" || true
other=$PROOF_WORK/stale
mkdir -p "$other"
echo 'int nothing;' > "$other/nothing.c"
gcc -shared -Wl,-soname,libcudart.so.12 -o "$other/libcudart.so.12" "$other/nothing.c"
find "${FLASHINFER_WORKSPACE_BASE:-$HOME}/.cache" -name '*.so' | while read -r kernel; do
  gcc -shared -Wl,--no-as-needed -o "$kernel" "$other/nothing.c" "$other/libcudart.so.12"
done
rm -r "$other"
export VLLM_USE_FLASHINFER_SAMPLER=1
