"""Stable Diffusion models of some thousand random weights, in the layout of diffusers.

Their pictures are noise, but every part is there and of the class that the real ones have.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

SIDE = 32  # of a picture; four pixels of it make one of the latent
_FACTS = {
    "sd1": {"width": 32, "prediction": "epsilon"},
    "sd2": {"width": 32, "prediction": "v_prediction"},
    "xl": {"width": 64, "prediction": "epsilon"},
}
README = """---
license: creativeml-openrail-m
tags: [random]
---
# Random

## Uses

Testing programs is what these numbers are for.

## Limitations

- The model draws nothing but noise. It has never seen a picture.

## Training

No training took place at all here.
"""


def save_tiny(kind: str, folder: Path) -> Path:
    """Write a model of kind "sd1", "sd2" (velocity) or "xl" (two text encoders)."""
    torch.manual_seed(sum(map(ord, kind)))
    folder.mkdir(parents=True)
    index: dict[str, Any] = {
        "_class_name": "StableDiffusionXLPipeline" if kind == "xl" else "StableDiffusionPipeline",
        "_diffusers_version": "0.30.0",
        "safety_checker": [None, None],
    }
    for role, part in _parts(kind).items():
        part.save_pretrained(folder / role)
        index[role] = [type(part).__module__.partition(".")[0], type(part).__name__]
    if kind == "xl":
        index["force_zeros_for_empty_prompt"] = True
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "README.md").write_text(README)
    return folder


def _parts(kind: str) -> dict[str, Any]:
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        EulerDiscreteScheduler,
        PNDMScheduler,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    facts = _FACTS[kind]
    schedule: dict[str, Any] = {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "steps_offset": 1,
        "prediction_type": facts["prediction"],
    }
    added: dict[str, Any] = {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 6 * 8 + 32,
    }
    parts = {
        "unet": UNet2DConditionModel(
            sample_size=SIDE // 4,
            block_out_channels=(32, 32),
            layers_per_block=1,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=facts["width"],
            attention_head_dim=8,
            norm_num_groups=8,
            **(added if kind == "xl" else {}),
        ),
        "vae": AutoencoderKL(
            block_out_channels=(16, 16, 16),
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            norm_num_groups=8,
            latent_channels=4,
            sample_size=SIDE,
        ),
        "text_encoder": CLIPTextModel(_text_config()),
        "tokenizer": tokenizer(),
    }
    if kind == "sd1":
        parts["scheduler"] = PNDMScheduler(skip_prk_steps=True, **schedule)
    elif kind == "sd2":
        parts["scheduler"] = DDIMScheduler(clip_sample=False, set_alpha_to_one=False, **schedule)
    else:
        parts["scheduler"] = EulerDiscreteScheduler(**schedule)
        parts["text_encoder_2"] = CLIPTextModelWithProjection(_text_config())
        parts["tokenizer_2"] = tokenizer()
    return parts


def _text_config() -> Any:
    from transformers import CLIPTextConfig

    size = len(tokenizer())
    return CLIPTextConfig(
        vocab_size=size,
        hidden_size=32,
        intermediate_size=37,
        num_hidden_layers=2,
        num_attention_heads=4,
        projection_dim=32,
        bos_token_id=size - 2,
        eos_token_id=size - 1,
        pad_token_id=size - 1,
    )


def tokenizer() -> Any:
    """Letters and a few words, as CLIP has them."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    words = ["lu", "ng</w>", "lung</w>"]
    names = [*letters, *(f"{one}</w>" for one in letters), *words]
    names += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={name: number for number, name in enumerate(names)},
        merges=[("l", "u"), ("n", "g</w>"), ("lu", "ng</w>")],
        model_max_length=77,
    )
