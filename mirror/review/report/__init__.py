"""The report as data: ``inventory`` (counts and sizes), ``report``, ``deep`` (everything again), ``rescan`` (with newer
advisories)."""
