"""This machine: ``command`` (programs that are started) with ``signals`` (whoever stops them), ``machine`` (its facts) and its
``gpus``, ``libcuda`` (where the driver's library is), ``driverfit`` and ``hostcompiler`` (what they can do for a bundle),
``sharing`` (its other users).
"""
