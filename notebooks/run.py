"""Run the notebooks from top to bottom, each in a fresh kernel.

    python notebooks/run.py                    all of them; exits with 1 if one fails
    python notebooks/run.py 04 05              those whose names begin like this
    python notebooks/run.py --write 04         and keep the new outputs

A notebook fails where a cell raises, where one takes longer than a minute, and where it
writes to stderr, as warnings do. No key is passed on to the kernel, connections to
other machines are refused, and warnings that start in llmreg are errors.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

HERE = Path(__file__).resolve().parent
TIMEOUT = 60
#: What the kernel runs before the first cell.
STARTUP = """
import socket, warnings
warnings.filterwarnings("error", module="llmreg")

def _connect(self, address, _connect=socket.socket.connect):
    if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1"):
        raise OSError(f"A notebook wants to reach {address[0]}; it needs no network.")
    return _connect(self, address)

socket.socket.connect = _connect
del socket, warnings, _connect
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; 1 where a notebook failed."""
    options = _parser().parse_args(arguments)
    failed = 0
    for path in _chosen(options.names):
        start = time.perf_counter()
        trouble = run(path, write=options.write, timeout=options.timeout)
        seconds = time.perf_counter() - start
        sys.stdout.write(f"{path.stem:28} {seconds:5.1f} s  {trouble or 'ok'}\n")
        sys.stdout.flush()
        failed += bool(trouble)
    return int(failed > 0)


def run(path: Path, *, write: bool = False, timeout: int = TIMEOUT) -> str:
    """Execute a notebook.

    Parameters
    ----------
    path : Path
        The notebook.
    write : bool, default=False
        Whether to keep its outputs, if nothing went wrong.
    timeout : int, default=60
        Seconds that a cell may take.

    Returns
    -------
    str
        What went wrong; empty where nothing did.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=timeout,
            kernel_name="python3",
            record_timing=False,
            # It warns that it listens, unencrypted, on the loopback interface.
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
            resources={"metadata": {"path": str(HERE)}},
        )
        try:
            client.execute(env=_environment(Path(folder)))
        except CellExecutionError as error:
            return f"{error.ename}: {error.evalue}"
        except (CellTimeoutError, DeadKernelError) as error:
            return str(error)
    if trouble := _stderr(notebook):
        return f"wrote to stderr:\n{trouble}"
    if write:
        tidy(notebook)
        nbformat.write(notebook, path)
    return ""


def tidy(notebook: Any) -> None:
    """Take out what differs from run to run or from machine to machine.

    Parameters
    ----------
    notebook : NotebookNode
        The notebook, which is changed.
    """
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python", "pygments_lexer": "ipython3"},
        }
    )
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)


def _environment(folder: Path) -> dict[str, str]:
    """Give the kernel this checkout, no keys, and folders of its own."""
    startup = folder / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-llmreg.py").write_text(STARTUP, encoding="utf-8")
    kept = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
    paths = [str(HERE.parent), kept.get("PYTHONPATH", "")]
    return kept | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "IPYTHONDIR": str(folder),
        "LLMREG_CACHE_DIR": str(folder / "cache"),
    }


def _stderr(notebook: Any) -> str:
    """Collect what the cells wrote to stderr."""
    return "".join(
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.output_type == "stream" and output.name == "stderr"
    )


def _chosen(names: Sequence[str]) -> list[Path]:
    """Find the notebooks whose names begin with one of `names`; all without any."""
    found = sorted(HERE.glob("[0-9]*.ipynb"))
    wanted = [Path(name).stem for name in names]
    for name in wanted:
        if not any(path.stem.startswith(name) for path in found):
            raise SystemExit(f"No notebook's name begins with {name!r}.")
    return [p for p in found if not wanted or p.stem.startswith(tuple(wanted))]


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="python notebooks/run.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", help="beginnings of names; all by default")
    parser.add_argument("--write", action="store_true", help="keep the new outputs")
    parser.add_argument(
        "--timeout", type=int, default=TIMEOUT, help="seconds for a cell (%(default)s)"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
