"""Judges disk space and permissions on this machine. Pure: `mailer.doctor.probes.machine` looks."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mailer.doctor.finding import CheckFinding, Severity, ok

_BACKUPS: Final = "backups"
_DISK: Final = "disk"
_PERMISSIONS: Final = "permissions"
_MEGABYTE: Final = 1_000_000
_TOO_LITTLE: Final = 200 * _MEGABYTE
_LITTLE: Final = 2_000 * _MEGABYTE


@dataclass(frozen=True)
class FileSeen:
    """A file or folder, as far as this process may look.

    Attributes:
        error: why it cannot be looked at; then the rest means nothing.
        mode: its permission bits.
        free, total: bytes on its disk.
    """

    path: Path
    error: str | None = None
    mode: int = 0
    is_writable: bool = False
    free: int = 0
    total: int = 0


def judge_database_file(file: FileSeen, folder: FileSeen) -> list[CheckFinding]:
    """Judge a SQLite file and its folder, in which SQLite writes its journal."""
    name = str(file.path)
    for seen in (folder, file):
        if seen.error is not None:
            return [_problem(_DISK, name, f"cannot be read: {seen.error}", "check `database_url`")]
        if not seen.is_writable:
            kind = "folder" if seen is folder else "file"
            what = f"this user may not write the {kind} {seen.path}"
            return [
                _problem(_DISK, name, what, "run this as the mailer's user, or change its owner")
            ]
    findings = [_about_space(folder)]
    if file.mode & 0o007:
        what = "everybody on this machine may read the readers' addresses in it"
        advice = f"run: chmod o= {shlex.quote(name)}"
        findings.append(CheckFinding(_PERMISSIONS, name, Severity.WARNING, what, do=advice))
    return findings


def judge_backup_folder(folder: FileSeen | None) -> CheckFinding:
    """Judge the folder for nightly backups; None if the settings name none."""
    if folder is None:
        # Many back up whole machines, which nothing here can know.
        return ok(_BACKUPS, "", "`backup_folder` is not set, so the mailer makes no backups itself")
    name = str(folder.path)
    if folder.error is not None:
        advice = "create the folder, or correct `backup_folder`"
        return _problem(_BACKUPS, name, f"cannot be read: {folder.error}", advice)
    if not folder.is_writable:
        advice = "run this as the mailer's user, or change its owner"
        return _problem(_BACKUPS, name, "this user may not write to the folder", advice)
    return ok(_BACKUPS, name, "backups are made here each night")


def _about_space(folder: FileSeen) -> CheckFinding:
    name, free = str(folder.path), folder.free
    shown = f"{free / 1e9:.1f} GB"
    if free < _TOO_LITTLE:
        what = f"only {shown} are free; when the disk is full, nothing is sent"
        return _problem(_DISK, name, what, "make room, or move the database")
    if free < _LITTLE:
        what = f"only {shown} are free"
        return CheckFinding(
            _DISK, name, Severity.WARNING, what, do="make room, or move the database"
        )
    return ok(_DISK, name, f"{shown} are free")


def judge_key_file(file: FileSeen, holds: str) -> CheckFinding:
    """Judge a file with secrets, which nobody else may read or write.

    Args:
        holds: what is in it, in words.
    """
    name = str(file.path)
    if file.error is not None:
        advice = "correct the path in the settings, or make the file readable for this user"
        return _problem(_PERMISSIONS, name, f"cannot be read: {file.error}", advice)
    if file.mode & 0o027:
        what = f"others may read or write {holds} in it"
        return _problem(_PERMISSIONS, name, what, f"run: chmod 600 {shlex.quote(name)}")
    return ok(_PERMISSIONS, name, f"others may not read {holds} in it")


def _problem(check: str, subject: str, what: str, do: str) -> CheckFinding:
    return CheckFinding(check, subject, Severity.PROBLEM, what, do=do)
