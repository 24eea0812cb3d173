"""A stack, as a person writes it: ``file`` is NAME.toml; ``rpmwishes``, ``redistwishes``, ``files``, ``models`` and ``waivers``
its tables; ``environment`` the variables that those ask for; ``without`` what is left out for one run."""
