"""Configurations of models that vLLM runs by itself, but whose published files bring code for reading their own configuration.

That code is never run; vLLM gets these classes in its place, in each of its processes (by the entry point `vllm.general_plugins`).
"""

from typing import Any


def register() -> None:
    """Teach transformers to read what it would ask the publisher's code to read."""
    from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

    class NemotronNanoVL(PreTrainedConfig):  # type: ignore[misc]  # transformers is not there where types are checked
        """Nemotron Nano v2 VL: the fields as they are; the language model's are transformers' own."""

        model_type = "NemotronH_Nano_VL_V2"

        def __init__(self, vision_config: dict[str, Any] | None = None, llm_config: dict[str, Any] | None = None, **fields: Any) -> None:
            self.vision_config = PreTrainedConfig(**(vision_config or {}))
            self.text_config = CONFIG_MAPPING["nemotron_h"](**(llm_config or {}))
            super().__init__(**fields)

    AutoConfig.register(NemotronNanoVL.model_type, NemotronNanoVL, exist_ok=True)
