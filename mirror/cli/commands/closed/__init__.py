"""Commands of the closed network."""
