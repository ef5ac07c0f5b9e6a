from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mistudio.v1 import AttemptReport, DownloadDataset, LocalFiles
from mistudio_ingest import download_dataset
from mistudio_ingest.text_files import PIECE_CHARACTERS, split_text
from mistudio_runtime.jobs import JobStoppedError, PermanentFailure, Stop
from mistudio_runtime.paths import PathNotAllowedError
from support.workshop import Workshop

Bring = Callable[..., str]


def table_of(workshop: Workshop, artifact_id: str) -> pa.Table:
    return pq.read_table([*workshop.store.path(artifact_id).glob("*.parquet")])


def test_python_topics_are_bundled(workshop: Workshop) -> None:
    job = workshop.job("job-topics")

    artifact_id = download_dataset.run(DownloadDataset(bundled="python-topics"), job)[0]

    manifest = workshop.store.get(artifact_id)
    table = table_of(workshop, artifact_id)
    assert table.column_names == ["topic", "text"]
    assert manifest.summary["rows"] == table.num_rows > 70
    assert manifest.summary["bytes"] > 400_000
    assert manifest.summary["text_column"] == "text"
    assert manifest.summary["columns"] == {"topic": "string", "text": "string"}
    assert manifest.summary["source"] == "bundled:python-topics"
    assert job.progressed[-1].done == manifest.summary["rows"]


def test_a_second_delivery_makes_the_same_artifact(workshop: Workshop) -> None:
    spec = DownloadDataset(bundled="python-topics")
    first = download_dataset.run(spec, workshop.job("job-topics", attempt=1))
    before = workshop.store.get(first[0])

    second = download_dataset.run(spec, workshop.job("job-topics", attempt=2))

    assert second == first
    assert workshop.store.get(first[0]) == before


def test_a_folder_of_text_keeps_every_character(workshop: Workshop, data: Path, bring: Bring) -> None:
    long = "word " * 5_000 + "\n\n" + "x" * 30_000
    (data / "deep").mkdir()
    (data / "a.txt").write_text(long, encoding="utf-8")
    (data / "deep" / "b.md").write_text("# Öl\r\n", encoding="utf-8-sig", newline="")
    (data / ".hidden.txt").write_text("not this")
    (data / "image.png").write_bytes(b"\x89PNG")

    table = table_of(workshop, bring(data))

    rows = table.to_pylist()
    assert "".join(row["text"] for row in rows if row["file"] == "a.txt") == long
    assert [row["part"] for row in rows if row["file"] == "a.txt"] == [0, 1, 2, 3]
    assert [row["text"] for row in rows if row["file"] == "b.md"] == ["# Öl\r\n"]
    assert {row["file"] for row in rows} == {"a.txt", "b.md"}


def test_long_texts_break_at_paragraphs_first() -> None:
    pieces = list(split_text(["a" * 10 + "\n\n" + "b" * 5 + "\nc d", "efgh ijkl"], limit=16))

    assert pieces == ["a" * 10 + "\n\n", "b" * 5 + "\n", "c defgh ijkl"]
    assert max(map(len, split_text(["z" * 100_000]))) == PIECE_CHARACTERS


def test_json_lines_keep_what_is_text(workshop: Workshop, data: Path, bring: Bring) -> None:
    rows = [{"id": i, "title": f"t{i}", "content": f"text {i}", "tags": ["x"]} for i in range(3000)]
    file = data / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n\n" for row in rows))

    artifact_id = bring(file)

    table = table_of(workshop, artifact_id)
    assert table.column_names == ["title", "content"]
    assert table.column("content").to_pylist() == [row["content"] for row in rows]
    assert workshop.store.get(artifact_id).summary["text_column"] == "content"


def test_csv_and_parquet(workshop: Workshop, data: Path, bring: Bring) -> None:
    (data / "a.csv").write_text('n,text,empty\n1,"two\nlines, quoted",\n2,plain,\n')
    pq.write_table(pa.table({"text": ["from parquet", None], "n": [7, 8], "nested": [[1], [2]]}), data / "b.parquet")

    table = table_of(workshop, bring(data / "b.parquet", data / "a.csv"))

    assert table.to_pylist() == [
        {"text": "from parquet", "n": 7},
        {"text": None, "n": 8},
        {"text": "two\nlines, quoted", "n": None},
        {"text": "plain", "n": None},
    ]


def test_a_row_budget_is_kept_exactly(workshop: Workshop, data: Path, bring: Bring) -> None:
    pq.write_table(pa.table({"text": [f"row {i}" for i in range(5000)]}), data / "big.parquet")

    artifact_id = bring(data / "big.parquet", max_rows=1500)

    assert table_of(workshop, artifact_id).column("text").to_pylist() == [f"row {i}" for i in range(1500)]


def test_the_text_column_can_be_named(workshop: Workshop, data: Path, bring: Bring) -> None:
    pq.write_table(pa.table({"text": ["a"], "body": ["b"]}), data / "t.parquet")

    assert workshop.store.get(bring(data / "t.parquet", text_column="body")).summary["text_column"] == "body"


@pytest.mark.parametrize(
    ("name", "content", "fields", "says"),
    [
        (
            "n.csv",
            b"n,text\n1,a\n",
            {"text_column": "missing"},
            "no text column 'missing'; set text_column to one of: text",
        ),
        ("n.csv", b"n\n1\n", {}, "no column of text"),
        ("x.csv", b"text,n\na,1\nb,2,3\n", {}, "x.csv cannot be read"),
        ("l.csv", "text\ncaf\xe9\n".encode("latin-1"), {}, "not UTF-8"),
        ("l.txt", "caf\xe9".encode("latin-1"), {}, "not UTF-8"),
        ("x.jsonl", b'{"text": "a"}\n{"text": \n', {}, "line 2 of x.jsonl is not JSON"),
        ("x.jsonl", b'["text"]\n', {}, "line 1 of x.jsonl is no JSON object"),
        ("x.jsonl", b'{"text": 3}\n', {"text_column": "text"}, "no text column 'text'"),
        ("x.parquet", b"PAR1 but not really", {}, "x.parquet cannot be read"),
        ("empty.txt", b"", {}, "holds no rows"),
        ("x.pdf", b"%PDF", {}, "no known kind"),
    ],
)
def test_bad_files_fail_with_a_sentence(  # noqa: PLR0917 - as many as the table has columns
    data: Path, bring: Bring, name: str, content: bytes, fields: dict[str, str], says: str
) -> None:
    (data / name).write_bytes(content)

    with pytest.raises(PermanentFailure, match=says):
        bring(data / name, **fields)


def test_a_column_that_is_not_text_is_refused(data: Path, bring: Bring) -> None:
    pq.write_table(pa.table({"text": ["a"], "score": [1.5]}), data / "t.parquet")

    with pytest.raises(PermanentFailure, match=r"column 'score' of t\.parquet is double, not text; set text_column"):
        bring(data / "t.parquet", text_column="score")


def test_a_later_line_of_another_type_is_named(data: Path, bring: Bring) -> None:
    lines = ['{"text": "a"}'] * 1500 + ['{"text": {"oops": 1}}']
    (data / "x.jsonl").write_text("\n".join(lines))

    with pytest.raises(PermanentFailure, match=r"line 1501 of x\.jsonl holds no text under 'text'"):
        bring(data / "x.jsonl")


def test_files_with_other_columns_are_named(data: Path, bring: Bring) -> None:
    pq.write_table(pa.table({"text": ["a"], "n": [1]}), data / "a.parquet")
    pq.write_table(pa.table({"text": ["a"], "n": ["one"]}), data / "b.parquet")

    with pytest.raises(PermanentFailure, match=r"column 'n' of b\.parquet is string but int64"):
        bring(data)


def test_paths_stay_inside_the_allowed_roots(workshop: Workshop, data: Path, bring: Bring, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    (data / "link.txt").symlink_to(secret)

    for path in (secret, data / ".." / "secret.txt", data):
        with pytest.raises(PathNotAllowedError):
            bring(path)
    assert not [*workshop.store.list()]
    assert not [*workshop.store.drafts.iterdir()]


def test_nothing_to_read_is_refused(data: Path, workshop: Workshop, bring: Bring) -> None:
    with pytest.raises(PermanentFailure, match="does not exist"):
        bring(data / "gone")
    with pytest.raises(PermanentFailure, match="holds no txt, md, jsonl, csv, parquet file"):
        bring(data)
    with pytest.raises(PermanentFailure, match="name files or folders"):
        bring()
    with pytest.raises(PermanentFailure, match="no source is given"):
        download_dataset.run(DownloadDataset(), workshop.job("job-none"))
    with pytest.raises(PermanentFailure, match="choose 'python-topics'"):
        download_dataset.run(DownloadDataset(bundled="shakespeare"), workshop.job("job-none"))


def test_a_cancelled_job_leaves_nothing(workshop: Workshop, data: Path) -> None:
    pq.write_table(pa.table({"text": [f"row {i}" for i in range(5000)]}), data / "big.parquet")
    job = workshop.job("job-data")

    def cancel(_: AttemptReport) -> None:
        job.request_stop(Stop.CANCEL)

    job.watch = cancel
    with pytest.raises(JobStoppedError):
        download_dataset.run(DownloadDataset(local=LocalFiles(paths=[str(data)])), job)
    assert not [*workshop.store.list()]
    assert not [*workshop.store.drafts.iterdir()]
