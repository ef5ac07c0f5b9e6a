"""A causal language model with its tokenizer, as the rest of the library sees it."""

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from mistudio_sae.errors import ModelLoadError

_ModuleT = TypeVar("_ModuleT", bound=nn.Module)

_LAYER_LISTS = ("h", "layers", "blocks")
_FINAL_NORMS = ("ln_f", "final_layer_norm", "norm")


@dataclass(frozen=True)
class LanguageModel:
    """A transformers causal model in evaluation mode, without gradients."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast

    @property
    def base(self) -> nn.Module:
        """The model below the unembedding; of a model that also sees images, the part that reads text."""
        base = self.model.base_model
        return getattr(base, "language_model", base)

    @property
    def text_config(self) -> PretrainedConfig:
        """The configuration of `base`."""
        return self.model.config.get_text_config()

    @property
    def layers(self) -> nn.ModuleList:
        """The transformer layers; raises ModelLoadError for a model whose layers are not where they usually are."""
        return _child(self.base, _LAYER_LISTS, nn.ModuleList)

    @property
    def final_norm(self) -> nn.Module:
        """The normalisation between the last layer and the unembedding; raises ModelLoadError when there is none."""
        return _child(self.base, _FINAL_NORMS, nn.Module)

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return int(self.text_config.hidden_size)

    @property
    def n_layers(self) -> int:
        """Number of transformer layers."""
        return len(self.layers)

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding; it may exceed the tokenizer's vocabulary (padding to a round number)."""
        return int(self.text_config.vocab_size)

    @property
    def context_length(self) -> int:
        """Longest sequence that the model was built for, in tokens."""
        return int(self.text_config.max_position_embeddings)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    def unembedding(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return W_U [d_model, vocab_size] and the final norm's elementwise weight [d_model] (None without one).

        Both are fp32; the logit lens of a direction v is (v * weight) @ W_U.
        """
        head: object = self.model.get_output_embeddings()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        if not isinstance(head, nn.Linear):
            raise ModelLoadError(f"{type(self.model).__name__} has no linear unembedding; choose a causal model.")
        return head.weight.detach().float().T, self._final_norm_weight()

    @torch.no_grad()
    def _final_norm_weight(self) -> torch.Tensor | None:
        if getattr(self.final_norm, "weight", None) is None:
            return None
        # Some RMS norms scale by w and some by 1 + w. An alternating ±1 vector has mean 0 and mean square 1, so every
        # norm maps it to itself times its true weight; the difference of two signs removes a bias.
        probe = 1.0 - 2.0 * (torch.arange(self.d_model, device=self.device) % 2).to(self.model.dtype)
        difference: torch.Tensor = self.final_norm(probe) - self.final_norm(-probe)
        return (difference * probe / 2).float()


def _child(parent: nn.Module, names: tuple[str, ...], kind: type[_ModuleT]) -> _ModuleT:
    for name in names:
        child = getattr(parent, name, None)
        if isinstance(child, kind):
            return child
    raise ModelLoadError(
        f"{type(parent).__name__} has none of {', '.join(names)}; "
        "use a GPT-2, GPT-NeoX, Llama, Mistral, Qwen or Gemma style model."
    )
