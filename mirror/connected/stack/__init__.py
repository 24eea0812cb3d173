"""A stack, as a person writes it: ``stack`` is NAME.toml; ``buildsettings`` what a build needs; ``tables`` the kinds of
artifacts that have a table of their own (``rpmwishes`` and ``redistwishes``, which are a ``toolchain``, ``interpreter``,
``files``, ``models``); ``waivers`` another; ``ownpins`` are what it pins itself; ``without`` what is left out for one run;
``targets`` are several of one file, ``host`` a machine that it is held against.
"""
