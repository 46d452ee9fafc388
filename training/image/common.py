"""Checkpoints, the word-table text encoder and the Euler sampler for the tiny FLUX."""
import json
import re

import torch
from safetensors.torch import load_file

TOKENS = 8  # words per prompt
NULL = 2
STOP = {"a", "an", "the", "of", "with", "in", "on", "and", "or", "to", "s", "for"}
WEIGHTS = "transformer/diffusion_pytorch_model{}.safetensors"


def read_json(path):
    with open(path) as f:
        return json.load(f)


def write_json(value, path, **kw):
    with open(path, "w") as f:
        json.dump(value, f, ensure_ascii=False, **kw)


def load_checkpoint(folder):
    """-> FluxTransformer2DModel, embedding table, {word: id}"""
    from diffusers import FluxTransformer2DModel

    model = FluxTransformer2DModel.from_pretrained(f"{folder}/transformer").eval()
    embeddings = load_file(f"{folder}/text/embeddings.safetensors")["embeddings.weight"].float()
    vocab = read_json(f"{folder}/text/vocab.json")
    return model, embeddings, vocab if isinstance(vocab, dict) else {w: i for i, w in enumerate(vocab)}


def tokenize(prompts, ids):
    """Known words only, 8 at most; the null prompt where none is left."""
    out = torch.zeros(len(prompts), TOKENS, dtype=torch.long)
    for i, prompt in enumerate(prompts):
        found = [w for w in re.findall(r"[a-z0-9]+", prompt.lower()) if w not in STOP][:TOKENS]
        row = [ids[w] for w in found if w in ids] or [NULL]
        out[i, : len(row)] = torch.tensor(row)
    return out


def null_tokens(n):
    out = torch.zeros(n, TOKENS, dtype=torch.long)
    out[:, 0] = NULL
    return out


def encode(table, tokens):
    """-> rows of all 8 ids, and their mean without the pads"""
    e = table[tokens] if isinstance(table, torch.Tensor) else table(tokens)
    mask = (tokens != 0).float()[..., None]
    return e, (e * mask).sum(1) / mask.sum(1)


def image_ids(grid):
    ids = torch.zeros(grid, grid, 3)
    ids[..., 1] += torch.arange(grid)[:, None]
    ids[..., 2] += torch.arange(grid)[None]
    return ids.reshape(-1, 3)


def predict(model, table, x, sigma, tokens):
    """-> the clean picture"""
    text, pooled = encode(table, tokens)
    return model(
        hidden_states=x, encoder_hidden_states=text, pooled_projections=pooled, timestep=torch.full((len(x),), sigma),
        img_ids=image_ids(round(x.shape[1] ** 0.5)), txt_ids=torch.zeros(TOKENS, 3), return_dict=False,
    )[0]  # fmt: skip


@torch.no_grad()
def sample(model, table, tokens, x, steps=30, guidance=3.0, shift=1.0, record=None):
    """Euler steps with classifier-free guidance; `record` (a dict) receives some inputs and predictions."""
    null = null_tokens(len(x))
    sigma = [shift * s / (1 + (shift - 1) * s) for s in (1 - i / steps for i in range(steps + 1))]
    for i in range(steps):
        cond, uncond = predict(model, table, x, sigma[i], tokens), predict(model, table, x, sigma[i], null)
        if record is not None and i in (0, 1, steps // 2, steps - 1):
            record.update({f"out.x_{i:02d}": x.clone(), f"out.prediction_conditional_{i:02d}": cond, f"out.prediction_unconditional_{i:02d}": uncond})
        # The velocity is (x - prediction) / sigma; the last step lands on the prediction.
        x = x + (sigma[i + 1] - sigma[i]) * (x - uncond - guidance * (cond - uncond)) / sigma[i]
    return x


def pictures(x, patch=8):
    """[N, tokens, patch * patch * 3] -> N pictures of bytes"""
    n, grid = len(x), round(x.shape[1] ** 0.5)
    p = x.view(n, grid, grid, patch, patch, 3).permute(0, 1, 3, 2, 4, 5).reshape(n, grid * patch, grid * patch, 3)
    return ((p.clamp(-1, 1) + 1) * 127.5).round().byte()
