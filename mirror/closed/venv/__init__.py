"""The venv: ``archive`` and ``interpreter`` (which Python), ``wheelserver`` (wheels out of the bundle), ``venv`` (filled by uv or pip)."""
