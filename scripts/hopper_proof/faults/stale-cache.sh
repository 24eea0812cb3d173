# FlashInfer's cache holds a kernel that was linked with the libraries of another CUDA.
other=$PROOF_WORK/stale
mkdir -p "$other/lib"
echo 'int nothing;' > "$other/nothing.c"
gcc -shared -Wl,-soname,libcudart.so.12 -o "$other/lib/libcudart.so.12" "$other/nothing.c"
cp -r "${FLASHINFER_WORKSPACE_BASE:-$HOME}/.cache" "$other/"
find "$other/.cache" -name '*.so' | while read -r kernel; do
  gcc -shared -Wl,--no-as-needed -o "$kernel" "$other/nothing.c" "$other/lib/libcudart.so.12"
done
rm -r "$other/lib"
export FLASHINFER_WORKSPACE_BASE=$other VLLM_USE_FLASHINFER_SAMPLER=1
