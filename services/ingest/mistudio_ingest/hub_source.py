"""Text from a dataset on the hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import datasets
import pyarrow as pa
from datasets.exceptions import DatasetsError
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from mistudio.v1 import HubDataset
from mistudio_ingest.batch import Batch
from mistudio_ingest.hub import hub_api, hub_failures, token
from mistudio_ingest.quiet_libraries import quiet_libraries
from mistudio_runtime.jobs import JobContext, PermanentFailure

_BATCH_ROWS = 1000


def read_hub(spec: HubDataset, context: JobContext) -> Iterator[Batch]:
    """Yields the rows of one split, streamed: only what is read is downloaded.

    Raises PermanentFailure if the dataset, its configuration or its split does not exist or needs code of its own;
    TransientFailure if the network or the hub fails.
    """
    what = f"dataset {spec.name}"
    _refuse_folders(spec.name)
    quiet_libraries()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    with hub_failures(what):
        revision = hub_api().dataset_info(spec.name, revision=spec.revision or None).sha
    context.log("info", f"{what} at revision {revision}")
    done = 0
    with hub_failures(what), _dataset_failures(what):
        for table in _tables(spec, str(revision)):
            done += table.num_rows
            yield Batch(table, what, done, 0, "rows")


def _tables(spec: HubDataset, revision: str) -> Iterator[pa.Table]:
    split = spec.split or "train"
    stream = datasets.load_dataset(
        spec.name, spec.config or None, split=split, revision=revision, streaming=True, token=token()
    )
    yield from stream.with_format("arrow").iter(batch_size=_BATCH_ROWS)


def _refuse_folders(name: str) -> None:
    # load_dataset prefers a folder of this name, which may lie outside the allowed roots.
    if Path(name).exists():
        raise PermanentFailure(f"{name} is a path on the ingest service's machine; give it as local files")


@contextmanager
def _dataset_failures(what: str) -> Iterator[None]:
    try:
        yield
    except (HfHubHTTPError, LocalEntryNotFoundError):
        raise  # the network's, though some are ValueErrors too; who calls this knows them
    except (DatasetsError, FileNotFoundError, ValueError, RuntimeError, pa.ArrowException) as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise PermanentFailure(
            f"{what} cannot be read: {why}; check config and split, and that it needs no script of its own",
            reason="HUB_DATASET_UNREADABLE",
        ) from error
