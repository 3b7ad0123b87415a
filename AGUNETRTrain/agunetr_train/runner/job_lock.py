"""A job is trained by one process at a time, also where several machines share the run's folder.

The lock is a *lease* (:class:`filelock.SoftFileLease`): a file made with ``O_EXCL``, which names the holder's host and
process and whose time the holder renews. A lease is taken over at once where its process is gone from this machine,
and where it stood still for :data:`LEASE_SECONDS`, as that of a machine that went down. How long it stood still is
measured on the watcher's own clock: clocks of different machines are never compared.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import SoftFileLease, Timeout

from agunetr.errors import OutputError

FILE_NAME = "job.lock"
LEASE_SECONDS = 180.0
"""NFS clients may show a file's time a minute late; training cannot start twice because of that."""
RENEWALS = 9
"""In a lease: some may fail while a server is slow."""
WATCH_SECONDS = 0.5


@dataclass(frozen=True)
class Holder:
    """Who trains a job.

    Attributes:
        host, pid: its machine and process.
        silent_seconds: since the lease was renewed, by this machine's clock: a hint, no proof.
    """

    host: str
    pid: int
    silent_seconds: float

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class JobLock:
    """The lock of one job.

    Args:
        folder: of the job; it exists.
        lease_seconds: every process of a run must give the same.

    The object remembers what it saw of another one's lease: only the same object, asked again, can tell that the lease
    stood still.
    """

    def __init__(self, folder: Path, lease_seconds: float = LEASE_SECONDS) -> None:
        self._lease = SoftFileLease(
            folder / FILE_NAME,
            lease_duration=lease_seconds,
            heartbeat_interval=lease_seconds / RENEWALS,
            thread_local=False,
        )

    @property
    def lease_seconds(self) -> float:
        """How long a lease must stand still before it is taken over."""
        return self._lease.lease_duration

    def acquire(self) -> bool:
        """Take the lock; False where another process holds it.

        Raises:
            OutputError: the file system does not allow it.
        """
        try:
            self._lease.acquire(timeout=0)
        except Timeout:
            return False
        except OSError as error:
            raise OutputError(
                f"The job's lock {self._lease.lock_file} cannot be made: {error}.",
                "Choose a run folder that can be written to.",
            ) from error
        return True

    def watch(self, stop: Callable[[], bool]) -> bool:
        """Take the lock of a holder who shows no sign of life; False at the first one, or where ``stop`` says so.

        Waits as long as a lease lasts, but only where the holder seems to be silent: see :meth:`seems_left`.
        """
        renewed = self._renewed()
        until = time.monotonic() + self.lease_seconds + 2 * WATCH_SECONDS
        while self.seems_left() and not stop():
            if self.acquire():
                return True
            if self._renewed() not in (renewed, None) or time.monotonic() > until:
                return False
            time.sleep(WATCH_SECONDS)
        return False

    def seems_left(self) -> bool:
        """Whether the holder missed renewals, so that watching it may be worth while; True also where it let go."""
        holder = self.holder()
        return holder is None or holder.silent_seconds > 3 * self.lease_seconds / RENEWALS

    def release(self) -> None:
        """Let go; nothing where it is not held, or where another process took it over."""
        self._lease.release()

    @property
    def lost(self) -> bool:
        """Whether another process took the job over, or the lease could not be renewed: stop writing to the folder.

        It happens to a process that was halted for longer than the lease lasts, for example by a laptop's sleep.
        """
        return self._lease.compromise is not None

    def holder(self) -> Holder | None:
        """Who holds the lock now; None where nobody does."""
        renewed, owner = self._renewed(), self._lease.owner
        if renewed is None or owner is None:
            return None
        return Holder(owner.hostname, owner.pid, max(0.0, time.time() - renewed))

    def _renewed(self) -> float | None:
        """When the lease was renewed, by the file server's clock; None where there is none."""
        try:
            return os.stat(self._lease.lock_file).st_mtime
        except OSError:
            return None
