"""A prefix: ``generations`` and the link to the current one, ``lock``, ``tree``; what is kept of each generation (``receipt``
with ``check`` and ``toolchainrecord``); ``history``, ``upgrade_check`` (new, older, or there already), ``usage`` and
``status``."""
