"""A stack, as a person writes it: ``file`` is NAME.toml; ``rpmwishes``, ``redistwishes`` and ``waivers`` its tables;
``without`` what is left out for one run."""
