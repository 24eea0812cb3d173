"""Compiled files, by their headers: ``elf``, ``fatbin`` (for which GPUs), and ``native``, the sum over an artifact."""
