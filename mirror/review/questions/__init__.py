"""What a reviewer looks at: the ``contents`` of a bundle, the ``diff`` to an older one, the ``paths`` on which a file came in,
a ``judgement`` by advisories and policy; each ``question``, and the ``questions`` in their order."""
