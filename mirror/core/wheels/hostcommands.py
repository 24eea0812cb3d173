"""Which names of scripts are those of programs that a host, a compiler or CUDA has: ``env.sh`` puts the venv's ``bin`` first.

A script of such a name would run in the program's place, for whoever sources ``env.sh``: when a kernel is compiled, when
somebody types ``ls``. ``mirror.core.vetting.wheel`` judges by it; the names of the venv's own files are in
``mirror.core.wheels.paths``.

Rules: what every Linux host has, and what may be there to reach or run something on it; compilers, binutils and CUDA's programs
by their patterns, with a target before and a version after; not what wheels bring on purpose for others to use (``cmake``,
``ninja``, ``uv``): those are what a stack asks for.

Example::

    is_host_command("x86_64-linux-gnu-g++-13")       # True
"""

from __future__ import annotations

import re

_COREUTILS = """
    [ arch b2sum base32 base64 basename basenc cat chcon chgrp chmod chown chroot cksum comm cp csplit cut date dd df
    dir dircolors dirname du echo env expand expr factor false fmt fold groups head hostid id install join kill link ln
    logname ls md5sum mkdir mkfifo mknod mktemp mv nice nl nohup nproc numfmt od paste pathchk pinky pr printenv printf
    ptx pwd readlink realpath rm rmdir runcon seq sha1sum sha224sum sha256sum sha384sum sha512sum shred shuf sleep sort
    split stat stdbuf stty sum sync tac tail tee test timeout touch tr true truncate tsort tty uname unexpand uniq
    unlink uptime users vdir wc who whoami yes
"""
_TEXT_AND_FILES = """
    awk bc bunzip2 busybox bzcat bzip2 cmp cpio curl diff diff3 ed egrep ex fgrep file find fuser gawk getopt grep
    gunzip gzip hexdump iconv jq less locate lz4 man mawk more nano nawk openssl patch rsync scp sdiff sed sftp shasum
    tar unxz unzip updatedb vi view vim wget which xargs xxd xz xzcat zcat zip zstd zstdcat
"""
_SYSTEM = """
    apt apt-get blkid chattr chfn chrt chsh clear column crontab dmesg dnf dpkg fdisk findmnt flock free getcap getconf
    getent getfacl gpg gpgv halt hostname hostnamectl htop ifconfig ionice ip ipcrm ipcs journalctl killall last
    ldconfig ldd locale localectl logger login loginctl lsattr lsblk lscpu lsipc lslocks lsmem lsmod lsns lsof lspci
    lsusb mesg modinfo modprobe mount mountpoint namei nc ncat netstat newgrp nsenter numactl numastat passwd perf pgrep
    pidof ping pivot_root pkexec pkill pmap poweroff prlimit ps pstree pwdx reboot renice reset resolvectl rpm rpm2cpio
    runuser script service setcap setfacl setpriv setsid setterm sg shutdown ss ssh ssh-add ssh-agent ssh-copy-id
    ssh-keygen ssh-keyscan su sudo sudoedit swapon sysctl systemctl systemd-run taskset tcpdump telnet time tload tmux
    top tput traceroute umount unshare useradd usermod visudo vmstat w wall watch whereis write yum
"""
_INTERPRETERS = "ash bash csh dash fish ksh mksh perl rbash screen sh tcsh zsh"
_BUILDING = "bison flex gdb gdbserver gmake git ld.so libtool ltrace m4 make pkg-config pkgconf strace valgrind"
_RUNNING = """
    apptainer ctr docker enroot kubectl mpiexec mpirun podman runc sacct salloc sbatch scancel scontrol sinfo
    singularity squeue srun
"""
_CUDA = """
    __nvcc_device_query bin2c cicc compute-sanitizer cu++filt cuda-gdb cuda-gdbserver cuda-memcheck cudafe++ cuobjdump
    fatbinary ncu nsight-sys nsys nv-fabricmanager nvcc nvcc.profile nvdisasm nvlink nvprof nvprune ptxas tileiras
"""
_OURS = "mirror mirror.pyz"

_NAMES = frozenset(
    " ".join([_COREUTILS, _TEXT_AND_FILES, _SYSTEM, _INTERPRETERS, _BUILDING, _RUNNING, _CUDA, _OURS]).split()
)
_TARGET = r"(?:(?:x86_64|aarch64|i[3-6]86|ppc64le|powerpc64le|arm\w*|riscv64)(?:-\w+)*-|llvm-)?"
_COMPILERS = (
    r"c\+\+|g\+\+|gcc|cc|cpp|c89|c99|clang|clang\+\+|clang-cpp|f77|f95|gfortran|flang|icc|icpc|icx|icpx|nvc|nvc\+\+|gcc-ar|gcc-nm|"
    r"gcc-ranlib|ld|ld\.(?:bfd|gold|lld|mold)|lld|gold|mold|collect2|cc1|cc1plus"
)
_BINUTILS = r"addr2line|ar|as|c\+\+filt|dwp|elfedit|gcov|gprof|nm|objcopy|objdump|ranlib|readelf|size|strings|strip"
_PATTERNS = re.compile(
    rf"{_TARGET}(?:{_COMPILERS}|{_BINUTILS})(?:-?[0-9][0-9.]*)?"
    r"|nvidia-(?:smi|ctk|cuda-mps-\w+|container-\w+|debugdump|modprobe|persistenced|settings|powerd|bug-report\.sh)"
    rf"|{_TARGET}python[0-9.]*(?:-config|d|t|w)?|pypy[0-9.]*|(?:perl|bash|lua|tclsh)[0-9.]+",
    re.ASCII,
)


def is_host_command(name: str) -> bool:
    """Whether a script of this name would run in the place of a program of the host's, a compiler's or CUDA's."""
    return name in _NAMES or bool(_PATTERNS.fullmatch(name))
