# flashinfer-cubin of another version than flashinfer-python comes first.
other=$PROOF_WORK/other
mkdir -p "$other/flashinfer_cubin-0.6.12.dist-info"
cp -r "$MIRROR_GENERATION"/venv/lib/python3.*/site-packages/flashinfer_cubin "$other/" 2> /dev/null
sed -i 's/0\.6\.13/0.6.12/' "$other"/flashinfer_cubin/*.py
printf 'Metadata-Version: 2.1\nName: flashinfer-cubin\nVersion: 0.6.12\n' > "$other/flashinfer_cubin-0.6.12.dist-info/METADATA"
export PYTHONPATH=$other
