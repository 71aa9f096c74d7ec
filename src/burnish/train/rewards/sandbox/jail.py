"""Confines the current process before it runs an answer's code. Runs in the child; standard library only.

    rlimits     processor time, address space, size of a file, open files, no core dump
    seccomp     no new process, program, socket or signal; files are opened for reading only, none is changed
    Landlock    of the files, only those of Python and of the system's libraries can be read (where the kernel has it)
    audit hook  the same as seccomp within the interpreter, for `isolation: python`

A system call is refused with an error, so that the code sees an OSError.
"""

import contextlib
import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Iterable

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _SECCOMP_MODE_FILTER = 1, 4, 22, 38, 2
_CLONE_THREAD = 0x10000
_CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
"""Flags of `open` that create or change a file."""

# names and numbers of system calls: (x86-64, ARM64); None where it does not exist
_FILES: dict[str, tuple[int | None, int | None]] = {
    "creat": (85, None),
    "openat2": (437, 437),
    "truncate": (76, 45),
    "memfd_create": (319, 279),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "rmdir": (84, None),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "link": (86, None),
    "linkat": (265, 37),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "open_by_handle_at": (304, 265),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
}
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "setrlimit": (160, 164),
    "prctl": (157, 167),
    "personality": (135, 92),
    "unshare": (272, 97),
    "setns": (308, 268),
    "chroot": (161, 51),
    "pivot_root": (155, 41),
    "mount": (165, 40),
    "umount2": (166, 39),
    "fsopen": (430, 430),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "mount_setattr": (442, 442),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "settimeofday": (164, 170),
    "adjtimex": (159, 171),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "acct": (163, 89),
    "syslog": (103, 116),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "quotactl": (179, 60),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "iopl": (172, None),
    "ioperm": (173, None),
    "setpriority": (141, 140),
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "setuid": (105, 146),
    "setgid": (106, 144),
    "setreuid": (113, 145),
    "setregid": (114, 143),
    "setresuid": (117, 147),
    "setresgid": (119, 149),
    "setgroups": (116, 159),
    "capset": (126, 91),
    "fanotify_init": (300, 262),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    "vhangup": (153, 58),
}
_SPECIAL: dict[str, tuple[int | None, int | None]] = {
    "open": (2, None),
    "openat": (257, 56),
    "clone": (56, 220),
    "clone3": (435, 435),
    "prlimit64": (302, 261),
    "sendto": (44, 206),
}
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""The column of the numbers, and the name of the architecture in a filter."""

_HOOKED = (
    *("os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.startfile", "os.kill"),
    *(
        "os.killpg",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.mkdir",
        "os.link",
        "os.symlink",
        "os.truncate",
        "os.chmod",
    ),
    *("os.chown", "os.chflags", "os.utime", "os.setxattr", "os.removexattr", "os.lockf", "signal.pthread_kill"),
    *(
        "resource.setrlimit",
        "resource.prlimit",
        "pty.spawn",
        "sqlite3.connect",
        "sys._current_frames",
        "gc.get_objects",
    ),
)
_HOOKED_FAMILIES = (
    "socket.",
    "subprocess.",
    "shutil.",
    "ctypes.",
    "tempfile.",
    "ftplib.",
    "http.",
    "urllib.",
    "winreg.",
)
_HOOKED_MODULES = ("_posixsubprocess", "_ctypes", "_socket", "_multiprocessing", "_posixshmem")


class UnconfinedError(RuntimeError):
    """The process cannot be confined as requested."""


def confine(*, isolation: str, seconds: int, memory: int, output: int, readable: Iterable[str]) -> str:
    """Confine this process for good, and describe how. `memory` and `output` are in bytes.

    Errors: UnconfinedError if `isolation` is `kernel` and this kernel or machine has no such filter.
    """
    _shield()
    for limit, value in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, output),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # macOS has no limit of the address space
            resource.setrlimit(limit, (value, value))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if isolation == "python":
        _add_hook()
        return "an audit hook of the interpreter"
    landlock = _restrict_reading(readable)
    _install_filter()
    return "seccomp and Landlock" if landlock else "seccomp"


def _shield() -> None:
    """Be killed when the parent ends, and hide this process's memory from others of the same user, on Linux."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        libc.prctl(_PR_SET_DUMPABLE, 0)


# seccomp: https://docs.kernel.org/userspace-api/seccomp_filter.html


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
"""Offsets in what a filter reads: the number of the system call, the architecture, eight bytes for each argument."""


def filter_for(machine: str) -> list[tuple[int, int, int, int]]:
    """The instructions of the filter: (code, jump if true, jump if false, operand)."""
    column, architecture = _MACHINES[machine]
    refuse, read_only, missing = _ERROR | errno.EPERM, _ERROR | errno.EROFS, _ERROR | errno.ENOSYS
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, 0x40000000),  # x32, the other numbering of x86-64
        (_RETURN, 0, 0, missing),
    ]

    def when(name: str, *then: tuple[int, int, int, int]) -> None:
        number = _SPECIAL[name][column]
        if number is not None:
            program.extend([(_EQUAL, 0, len(then), number), *then])

    for name, argument in (("open", 1), ("openat", 2)):
        flags = _ARGUMENTS + 8 * argument
        when(
            name,
            (_LOAD, 0, 0, flags),
            (_ANY_BIT, 0, 1, _CHANGES),
            (_RETURN, 0, 0, read_only),
            (_RETURN, 0, 0, _ALLOW),
        )
    when(
        "clone",
        (_LOAD, 0, 0, _ARGUMENTS),
        (_ANY_BIT, 1, 0, _CLONE_THREAD),
        (_RETURN, 0, 0, refuse),
        (_RETURN, 0, 0, _ALLOW),
    )
    when("clone3", (_RETURN, 0, 0, missing))  # its flags are in memory; glibc falls back to clone
    # a new limit, and an address to send to; `socketpair`, which asyncio needs, leads nowhere without one
    for name, argument in (("prlimit64", 2), ("sendto", 4)):
        pointer = _ARGUMENTS + 8 * argument
        when(
            name,
            (_LOAD, 0, 0, pointer),
            (_EQUAL, 1, 0, 0),
            (_RETURN, 0, 0, refuse),
            (_LOAD, 0, 0, pointer + 4),
            (_EQUAL, 1, 0, 0),
            (_RETURN, 0, 0, refuse),
            (_RETURN, 0, 0, _ALLOW),
        )
    for numbers, verdict in ((_FILES, read_only), (_REFUSED, refuse)):
        for number in numbers.values():
            if number[column] is not None:
                program.extend([(_EQUAL, 0, 1, number[column] or 0), (_RETURN, 0, 0, verdict)])
    return [*program, (_RETURN, 0, 0, _ALLOW)]


def _install_filter() -> None:
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _MACHINES or struct.calcsize("P") != 8:
        raise UnconfinedError(f"there is no filter of system calls for {sys.platform} on {machine}")
    instructions = [_Instruction(*line) for line in filter_for(machine)]
    program = _Program(len(instructions), (_Instruction * len(instructions))(*instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    for call in (
        (_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero),
        (_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), ctypes.byref(program), zero, zero),
    ):
        if libc.prctl(*call) != 0:
            raise UnconfinedError(f"the kernel refuses a filter of system calls: {os.strerror(ctypes.get_errno())}")


# Landlock: https://docs.kernel.org/userspace-api/landlock.html

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF, _PATH_BENEATH = 444, 445, 446, 1
_READ_FILE, _READ_DIRECTORY, _ALL_OF_VERSION_1 = 1 << 2, 1 << 3, (1 << 13) - 1


def _restrict_reading(readable: Iterable[str]) -> bool:
    """Allow reading below these paths only; False if this kernel has no Landlock."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    handled = struct.pack("=Q", _ALL_OF_VERSION_1)
    ruleset = libc.syscall(_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    if ruleset < 0:
        return False
    for path in dict.fromkeys(readable):
        try:
            opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        rights = _READ_FILE | (_READ_DIRECTORY if os.path.isdir(path) else 0)
        libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, opened), 0)
        os.close(opened)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, *(ctypes.c_ulong(value) for value in (1, 0, 0, 0)))
    done = libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return done


def _add_hook() -> None:
    """Refuse in the interpreter what the filter refuses in the kernel; a hook cannot be removed."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            flags = arguments[2]
            if isinstance(flags, int) and flags & _CHANGES:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        elif event == "import":
            if arguments[0] in _HOOKED_MODULES:
                raise PermissionError(f"the module {arguments[0]} is not available here")
        elif event in _HOOKED or event.startswith(_HOOKED_FAMILIES):
            raise PermissionError(f"{event} is not available here")

    sys.addaudithook(hook)
