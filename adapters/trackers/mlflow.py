"""MLflow: a run in an experiment, on a server or in a folder of files.

Names and passwords of a server come from MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path

from adapters.packages import require_package
from adapters.trackers import refuse_password
from domain.fingerprint import Json
from domain.section import options_of, section
from ports.tracker import TrackedRun

RUN_TAG = "hextune.run"
"""Tag by which a resumed run finds itself."""


@section
class Options:
    """Options of tracker mlflow."""

    uri: str | None = None
    """The tracking server or folder; MLFLOW_TRACKING_URI, or `mlruns` in the run folder, where
    not set."""
    experiment: str = "hextune"
    """The experiment the run belongs to."""


def check(values: Mapping[str, Json], field: str) -> None:
    """Raises HextuneError where mlflow is missing, or for a password in the address."""
    require_package("mlflow-skinny", extra="mlflow", field=f"{field}.name", name="mlflow")
    variables = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    refuse_password(options_of(Options, values).uri, f"{field}.uri", variables)


class Tracker:
    """Implements ports.tracker.Tracker."""

    def __init__(self, values: Mapping[str, Json], run: TrackedRun) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read while it is imported
        from mlflow import MlflowClient

        options = options_of(Options, values)
        local = (Path(run.folder) / "mlruns").absolute().as_uri()
        uri = options.uri or os.environ.get("MLFLOW_TRACKING_URI", local)
        if uri.startswith("file:"):
            # the file store is frozen, not gone; it needs no database
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        self._client = MlflowClient(tracking_uri=uri)
        found = self._client.get_experiment_by_name(options.experiment)
        place = found.experiment_id if found else self._client.create_experiment(options.experiment)
        known = self._client.search_runs([place], f"tags.`{RUN_TAG}` = '{run.id}'")
        self._id = known[0].info.run_id if known else self._new(place, run)
        self._client.update_run(self._id, status="RUNNING")

    def _new(self, experiment: str, run: TrackedRun) -> str:
        made = self._client.create_run(experiment, run_name=run.name, tags={RUN_TAG: run.id})
        run_id: str = made.info.run_id
        self._client.log_dict(run_id, dict(run.spec), "spec.json")
        return run_id

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        """A metric for each figure."""
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        rows = [Metric(name, value, now, step) for name, value in figures.items()]
        self._client.log_batch(self._id, metrics=rows)

    def close(self, *, succeeded: bool) -> None:
        """End the run there."""
        self._client.set_terminated(self._id, "FINISHED" if succeeded else "FAILED")
