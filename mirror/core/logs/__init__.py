"""A log explained, on either side: ``logtext`` reads it, ``origin`` takes a line apart, ``symptom`` and ``symptoms`` are the
texts whose cause is known, ``ending`` is what ended the program, ``rules`` say what failed by a line's form, of which of the
``layers``; ``suspects`` are the lines that look like errors; ``log`` and ``explanation`` are what is said of all that, in
``finding``s. ``compilerwords`` is shared with whoever runs a compiler."""
