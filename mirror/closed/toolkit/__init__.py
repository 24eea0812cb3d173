"""The CUDA toolkit of a generation: ``zstd`` (a decompressor for hosts that have none), ``unpacking``."""
