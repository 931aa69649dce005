"""The parent's side of the audit process: start it early, ask it once, turn its failure into one ContractError."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from dagster_project.errors import ContractError

_ROOT = Path(__file__).resolve().parents[2]


class AuditProcess:
    """One Great Expectations process for one audit.

    `start()` returns at once; the library is imported while the caller does other work. `run()` asks the one question.
    As a context manager it starts on entry and leaves no process behind, also where nothing was asked.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._stderr: IO[str] | None = None

    def start(self) -> AuditProcess:
        """Spawn the process unless it runs already."""
        if self._process is None:
            self._stderr = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed by close()
            path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dagster_project.contracts.gx_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                text=True,
                env={**os.environ, "GX_ANALYTICS_ENABLED": "false", "PYTHONPATH": path, "TQDM_DISABLE": "1"},
            )
        return self

    def run(self, request: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """The results by check key. Raises ContractError where the process fails or refuses; it has ended either way."""
        self.start()
        assert self._process is not None
        try:
            output, _ = self._process.communicate(json.dumps(request) + "\n")
            answer = json.loads(output) if output.strip() else {"error": self._last_words()}
        except (BrokenPipeError, json.JSONDecodeError) as error:
            raise self._failed(self._last_words() or str(error)) from error
        finally:
            self.close()
        if "error" in answer:
            raise self._failed(answer["error"])
        results: dict[str, dict[str, Any]] = answer["results"]
        return results

    def close(self) -> None:
        """End the process, whatever it is doing."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        continue  # the child died with the question unread; run() has reported it
            self._process = None
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None

    def _last_words(self) -> str:
        if self._stderr is None:
            return ""
        self._stderr.seek(0)
        lines = [line.strip() for line in self._stderr if line.strip()]
        code = self._process.returncode if self._process else None
        return lines[-1] if lines else f"the process ended with code {code} and said nothing"

    @staticmethod
    def _failed(text: str) -> ContractError:
        return ContractError(
            f"Great Expectations could not carry out the audit: {text.splitlines()[0][:500] if text else 'no answer'}.",
            where="contracts",
            todo="Nothing was published; the last good publication stays. Correct the cause and run again.",
        )

    def __enter__(self) -> AuditProcess:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
