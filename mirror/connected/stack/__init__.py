"""A stack, as a person writes it: ``file`` is NAME.toml; ``rpmwishes``, ``redistwishes``, ``files``, ``models`` and ``waivers``
its tables; ``tables`` the kinds that have one of their own; ``without`` what is left out for one run."""
