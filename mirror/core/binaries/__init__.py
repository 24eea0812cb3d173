"""Compiled files, by their headers: ``elf`` reads them, ``fatbin`` says for which GPUs they hold code, ``glibc`` what they
ask of a C library; ``fatheaders`` and ``passing`` do so while a content goes by; ``native`` is the sum over an artifact.

Own code, because nothing well kept reads ELF in the standard library of Python 3.9, and nothing reads NVIDIA's fat binaries.
"""
