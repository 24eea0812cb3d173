"""Commands of the reviewer."""
