"""A log explained: ``logtext`` reads it, ``symptom`` and ``symptoms`` are what is known, ``suspects`` the lines that look
like errors, ``explanation`` and ``log`` what is said of them."""
