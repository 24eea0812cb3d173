"""A file in volumes: pieces as large as the media that carry them, and an index that names each by its digest.

``index`` is the document, ``opened`` the one door through which a file is read, whole or in volumes, without joining them;
``splitting`` writes volumes, and checks them alone. What is in the file is no business of theirs.
"""
