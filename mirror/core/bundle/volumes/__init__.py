"""A file in volumes: pieces as large as the media that carry them, and an index that names each by its digest.

``index`` is the document, ``opened`` the one door through which a file is read, whole or in volumes, without joining them;
``splitting`` writes volumes, and checks them alone. None of them looks at what is in the file.
"""
