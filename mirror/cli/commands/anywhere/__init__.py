"""Commands that every copy of mirror has, on either side."""
