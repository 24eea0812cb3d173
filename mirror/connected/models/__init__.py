"""Models on the connected side, from wishes to pins: ``hub`` asks a Hugging Face hub which files a repository has at a
revision, ``selection`` chooses among them, ``modellock`` writes them down as ``NAME.models.toml``.
"""
