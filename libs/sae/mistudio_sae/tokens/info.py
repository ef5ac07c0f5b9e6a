"""`tokens.json`: what a folder of packed tokens holds."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mistudio_sae.errors import TokensFormatError

INFO_FILE = "tokens.json"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class ShardInfo:
    """One pair of files of a split; both names are plain file names inside the folder."""

    tokens: str
    """File of token ids, [blocks, context_length]."""
    documents: str
    """File of document starts, int64 [n, 2] = (offset in the shard's flattened tokens, dataset row)."""
    blocks: int
    """Number of blocks in the shard."""


@dataclass(frozen=True)
class SplitInfo:
    """One split (`train`, `validation`) and its totals."""

    shards: tuple[ShardInfo, ...]
    """Shards in the order in which their blocks are numbered."""
    blocks: int
    """Blocks in all shards."""
    tokens: int
    """blocks times context_length."""
    documents: int
    """Documents whose first token is stored."""
    dropped_tokens: int = 0
    """Tokens of the tail that did not fill a block."""


@dataclass(frozen=True)
class TokensInfo:
    """The whole of `tokens.json`."""

    context_length: int
    """Tokens in a block."""
    dtype: str
    """"uint16" or "uint32"."""
    vocab_size: int
    """Token ids are in [0, vocab_size)."""
    tokenizer: str
    """Name of the tokenizer that made the ids."""
    bos_token_id: int | None
    """Id that marks a beginning; such positions never count in a statistic."""
    eos_token_id: int | None
    """Id that marks the end of a document, if the tokenizer has one."""
    prepend_bos: bool
    """True if every block and every document begins with `bos_token_id`."""
    splits: Mapping[str, SplitInfo]
    """Splits by name."""

    def split(self, name: str) -> SplitInfo:
        """Return one split; raise TokensFormatError naming the existing ones if it is absent."""
        if name not in self.splits:
            raise TokensFormatError(f"these tokens have no split {name!r}; choose one of {sorted(self.splits)}.")
        return self.splits[name]


def token_dtype(vocab_size: int) -> str:
    """Return the narrowest stored dtype that holds every id below `vocab_size`."""
    return "uint16" if vocab_size <= 2**16 else "uint32"


def dump_info(info: TokensInfo) -> str:
    """Return the text of `tokens.json`."""
    return json.dumps({"version": FORMAT_VERSION, **asdict(info)}, indent=1)


def load_info(folder: Path) -> TokensInfo:
    """Read and check `tokens.json` in `folder`; raise TokensFormatError when it is absent, damaged or newer."""
    path = folder / INFO_FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["version"] != FORMAT_VERSION:
            raise TokensFormatError(f"{path} has version {raw['version']}; this program reads {FORMAT_VERSION}.")
        return _parse(raw)
    except FileNotFoundError as err:
        raise TokensFormatError(f"{folder} holds no {INFO_FILE}; tokenize the dataset first.") from err
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError) as err:
        raise TokensFormatError(f"{path} is damaged ({err!r}); tokenize the dataset again.") from err


def _parse(raw: dict[str, Any]) -> TokensInfo:
    splits = {name: _parse_split(split) for name, split in raw["splits"].items()}
    fields = {name: raw[name] for name in TokensInfo.__dataclass_fields__ if name != "splits"}
    info = TokensInfo(splits=splits, **fields)
    if info.context_length < 1 or info.dtype not in ("uint16", "uint32"):
        raise TypeError("context_length or dtype")
    return info


def _parse_split(raw: dict[str, Any]) -> SplitInfo:
    shards = tuple(ShardInfo(s["tokens"], s["documents"], s["blocks"]) for s in raw["shards"])
    for shard in shards:
        # A folder may come from elsewhere: its names must not lead out of it.
        if Path(shard.tokens).name != shard.tokens or Path(shard.documents).name != shard.documents:
            raise TypeError("a shard name with a path in it")
    if sum(shard.blocks for shard in shards) != raw["blocks"]:
        raise TypeError("blocks do not add up")
    return SplitInfo(shards, raw["blocks"], raw["tokens"], raw["documents"], raw.get("dropped_tokens", 0))
