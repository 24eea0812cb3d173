"""CUDA as data: what a release allows (``releases``), what its parts are called (``components``, ``redistnames``), and the
links that its tree needs (``links``)."""
