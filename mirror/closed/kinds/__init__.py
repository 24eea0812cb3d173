"""How each kind of artifact gets from a verified bundle into a generation: ``copying`` a member as it is, then ``file`` and
``model``."""
