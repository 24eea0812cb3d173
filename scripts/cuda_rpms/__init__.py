"""A small CUDA 13.0 RPM repository, made from the wheels that NVIDIA publishes, for machines that cannot reach NVIDIA's own.

What it is: NVIDIA's files, unchanged, in RPMs made here, under NVIDIA's package names, paths, dependencies and
runtime/devel split, in signed RPMs and a signed repository, so that everything ``mirror`` does with RPMs is done on
the real compiler. What it is not: NVIDIA's packages. The signing key is public (``demokey``), so a signature by it
proves nothing; a stack meant for use names NVIDIA's own repository and NVIDIA's own key.

Rules: the same bytes on every machine and every run, so that a committed lock can pin them: fixed times, sorted files,
one-threaded xz, deterministic signatures. What was made is compared with ``rpms.sha256``.

In the order in which files travel: ``wheels`` (what is fetched), ``layout`` (which file goes into which package),
``stub`` (the one library that no wheel holds), ``rpmfile`` (the RPM format), ``openpgp`` and ``demokey`` (signatures),
``repodata`` (the repository), ``maker`` (all of it in parallel).
"""
