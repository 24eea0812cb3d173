"""This machine: ``machine`` (its facts), ``command`` (programs that are started), ``hostcompiler``, ``driverfit``,
``sharing`` (its other users)."""
