# LD_LIBRARY_PATH names libraries of the same names that lack what the stack's own have.
mkdir -p "$PROOF_WORK/shadow"
echo 'int nothing;' > "$PROOF_WORK/nothing.c"
for name in libcublas.so.13 libcublasLt.so.13 libcudart.so.13; do
  gcc -shared -Wl,-soname,$name -o "$PROOF_WORK/shadow/$name" "$PROOF_WORK/nothing.c"
done
export LD_LIBRARY_PATH="$PROOF_WORK/shadow"
