"""The files of a features folder and their columns.

`features.json`: version, model, hook point, split, tokens read, number of latents, configuration, the most
interesting latents.

`statistics.parquet`: one row a latent, ascending, in row groups of `STATISTICS_GROUP`:

| column | meaning |
|---|---|
| latent | id in the SAE |
| fired | tokens on which it was active |
| density | fired / tokens read |
| dead | fired is 0 |
| max_activation, mean_active | largest activation; mean over the tokens on which it fired |
| histogram, histogram_max | counts of activations in equal bins over [0, histogram_max) |
| top_token_ids | distinct peak tokens of the top examples, most frequent first |
| logit_top_ids, logit_top_values | logit lens, largest first |
| logit_bottom_ids, logit_bottom_values | logit lens, smallest first |
| logit_sharpness | mean top logit in standard deviations over the vocabulary |
| neighbour_ids, neighbour_cosines | nearest latents by decoder cosine |
| coactive_ids, coactive_scores | nearest latents by Jaccard index of the tokens they fire on |
| agreement, variety | parts of interestingness, see `interestingness.py` |
| interestingness | readable features first, 0..1 |

`examples.parquet`: one row an example, in the order of `statistics.parquet`, `EXAMPLES_GROUP` latents a row group:

| column | meaning |
|---|---|
| latent | id in the SAE |
| kind | `top` (strongest distinct contexts) or `quantile` (a uniform sample of contexts) |
| rank | place within its kind: strongest first for `top`, weakest first for `quantile` |
| band | quantile band, 0 the weakest; -1 for `top` |
| value | activation at the peak |
| block, position | where the peak is in the tokens artifact |
| document | dataset row of its document |
| peak | index of the peak within the window |
| token_ids, activations | the window's tokens and the latent's activation on each |

`best.parquet`: of each living latent the strongest example, with the columns of `examples.parquet`, so that a list of
features shows it without reading the others.

`vocabulary.parquet`: column `text`, the token of each id, so that reading needs no tokenizer.
"""

from __future__ import annotations

import pyarrow as pa

VERSION = 1
INFO_FILE = "features.json"
STATISTICS_FILE = "statistics.parquet"
EXAMPLES_FILE = "examples.parquet"
BEST_FILE = "best.parquet"
VOCABULARY_FILE = "vocabulary.parquet"
STATISTICS_GROUP = 256
"""Latents a row group of statistics."""
EXAMPLES_GROUP = 32
"""Latents a row group of examples: few enough to read one latent quickly, enough to keep the footer small."""

_IDS = pa.list_(pa.int32())
_REALS = pa.list_(pa.float32())

STATISTICS = pa.schema(
    [
        ("latent", pa.int32()),
        ("fired", pa.int64()),
        ("density", pa.float64()),
        ("dead", pa.bool_()),
        ("max_activation", pa.float32()),
        ("mean_active", pa.float64()),
        ("histogram", pa.list_(pa.int64())),
        ("histogram_max", pa.float64()),
        ("top_token_ids", _IDS),
        ("logit_top_ids", _IDS),
        ("logit_top_values", _REALS),
        ("logit_bottom_ids", _IDS),
        ("logit_bottom_values", _REALS),
        ("logit_sharpness", pa.float32()),
        ("neighbour_ids", _IDS),
        ("neighbour_cosines", _REALS),
        ("coactive_ids", _IDS),
        ("coactive_scores", _REALS),
        ("agreement", pa.float64()),
        ("variety", pa.float64()),
        ("interestingness", pa.float64()),
    ]
)
EXAMPLES = pa.schema(
    [
        ("latent", pa.int32()),
        ("kind", pa.dictionary(pa.int8(), pa.string())),
        ("rank", pa.int32()),
        ("band", pa.int32()),
        ("value", pa.float32()),
        ("block", pa.int64()),
        ("position", pa.int32()),
        ("document", pa.int64()),
        ("peak", pa.int32()),
        ("token_ids", _IDS),
        ("activations", _REALS),
    ]
)
VOCABULARY = pa.schema([("text", pa.string())])
