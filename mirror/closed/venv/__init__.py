"""The venv: ``interpreter`` (which Python), ``hostpackages`` (what that one brings), ``wheelserver`` (wheels out of the
bundle), ``venv`` (filled by uv or pip), ``sitepackages`` (where that puts them).
"""
