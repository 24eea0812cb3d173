"""CUDA as data: what a release allows (``releases``), which GPUs there are (``gpus``), what its parts are called
(``components``, ``redistnames``), and the links that its tree needs (``links``).
"""
