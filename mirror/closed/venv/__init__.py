"""The venv: ``interpreter`` (which Python), ``wheelserver`` (wheels out of the bundle), ``venv`` (filled by uv or pip)."""
