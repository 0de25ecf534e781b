"""A load format for vLLM without weights' files: `drawn` draws them, the same each time, and wide enough that a picture decides the answer.

vLLM's own `dummy` draws within a thousandth, where every answer is the same. Only an engine in this process knows the format.
"""

import torch
from torch import nn
from vllm.config import ModelConfig
from vllm.model_executor.model_loader import register_model_loader
from vllm.model_executor.model_loader.dummy_loader import DummyModelLoader

DECAY = -1.0
"""Of Mamba's state; a positive one would grow without end."""


@register_model_loader("drawn")
class DrawnWeights(DummyModelLoader):
    """Draws matrices and biases; norms and gates stay open."""

    def load_weights(self, model: nn.Module, model_config: ModelConfig) -> None:
        super().load_weights(model, model_config)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                _draw(name.split("."), weight, generator)


def _draw(name: list[str], weight: torch.Tensor, generator: torch.Generator) -> None:
    if name[-1] == "A":
        weight.fill_(DECAY)
    elif weight.ndim > 1 or name[-1] == "bias":
        weight.normal_(std=0.15, generator=generator)
    else:
        weight.fill_(1.0)
