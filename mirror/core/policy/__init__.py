"""A site's rules: ``document`` is policy.toml, ``spdx`` its licences, ``rules`` holds a bundle against it."""
