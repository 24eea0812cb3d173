"""A site's rules: ``plaintoml`` and ``spdx`` read them, ``document`` is policy.toml, ``rules`` holds a bundle against it."""
