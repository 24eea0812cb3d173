"""Commands of the connected machine: ``mirror.pyz`` has none of them."""
