# A limit of 64 open files.
ulimit -n 64
