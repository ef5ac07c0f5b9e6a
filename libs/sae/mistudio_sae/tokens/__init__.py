"""The tokens artifact: token ids packed into blocks of one context length, memory-mapped, with document boundaries."""

from mistudio_sae.tokens.info import ShardInfo, SplitInfo, TokensInfo
from mistudio_sae.tokens.reader import Blocks, TokensReader
from mistudio_sae.tokens.writer import TokensWriter

__all__ = ["Blocks", "ShardInfo", "SplitInfo", "TokensInfo", "TokensReader", "TokensWriter"]
