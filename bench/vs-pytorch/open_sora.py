"""
Open-Sora 1.2's transformer in plain PyTorch, with the parameter names of its checkpoint and the fast paths that its
own code takes on a GPU replaced by PyTorch's fused attention, which is the fastest that PyTorch has on a CPU.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn


class RmsNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, 1e-6)


def turned(x, cos, sin):
    """Adjacent pairs of channels turned by the angles of their position."""
    swapped = torch.stack((-x[..., 1::2], x[..., ::2]), -1).flatten(-2)
    return x * cos + swapped * sin


class SelfAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.q_norm, self.k_norm = RmsNorm(width // heads), RmsNorm(width // heads)
        self.proj = nn.Linear(width, width)

    def forward(self, x, rope=None):
        rows, tokens, width = x.shape
        q, k, v = self.qkv(x).view(rows, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = self.q_norm(q), self.k_norm(k)
        if rope is not None:
            q, k = turned(q, *rope), turned(k, *rope)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(rows, tokens, width))


class CrossAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q_linear, self.kv_linear = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x, text):
        split = lambda t: t.view(t.shape[0], t.shape[1], self.heads, -1).transpose(1, 2)
        k, v = self.kv_linear(text).chunk(2, -1)
        seen = F.scaled_dot_product_attention(split(self.q_linear(x)), split(k), split(v))
        return self.proj(seen.transpose(1, 2).reshape(x.shape))


class Mlp(nn.Module):
    def __init__(self, inputs, hidden, outputs):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(inputs, hidden), nn.Linear(hidden, outputs)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, width, heads, mlp_ratio, temporal):
        super().__init__()
        self.temporal = temporal
        self.scale_shift_table = nn.Parameter(torch.zeros(6, width))
        self.attn = SelfAttention(width, heads)
        self.cross_attn = CrossAttention(width, heads)
        self.mlp = Mlp(width, int(width * mlp_ratio), width)

    def forward(self, x, text, modulation, frames, rope):
        batch, tokens, width = x.shape
        six = (modulation.view(batch, 6, width) + self.scale_shift_table).chunk(6, 1)
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = six
        normed = F.layer_norm(x, (width,), eps=1e-6) * (1 + scale) + shift
        if self.temporal:
            rows = normed.view(batch, frames, -1, width).transpose(1, 2).reshape(-1, frames, width)
            seen = self.attn(rows, rope).view(batch, -1, frames, width).transpose(1, 2).reshape(x.shape)
        else:
            seen = self.attn(normed.view(batch * frames, -1, width)).view(x.shape)
        x = x + gate * seen
        x = x + self.cross_attn(x, text)
        return x + mlp_gate * self.mlp(F.layer_norm(x, (width,), eps=1e-6) * (1 + mlp_scale) + mlp_shift)


class TimeEmbedder(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t):
        frequencies = torch.exp(-math.log(10000) * torch.arange(128) / 128)
        angles = t[:, None].float() * frequencies
        return self.mlp(torch.cat((angles.cos(), angles.sin()), -1).to(self.mlp[0].weight.dtype))


class PatchEmbedder(nn.Module):
    def __init__(self, channels, width, patch):
        super().__init__()
        self.proj = nn.Conv3d(channels, width, patch, patch)


class Captions(nn.Module):
    def __init__(self, channels, width, tokens):
        super().__init__()
        self.y_embedding = nn.Parameter(torch.zeros(tokens, channels))
        self.y_proj = Mlp(channels, width, width)


class Rope(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.freqs = nn.Parameter(torch.zeros(width // 2))


class Final(nn.Module):
    def __init__(self, width, outputs):
        super().__init__()
        self.scale_shift_table = nn.Parameter(torch.zeros(2, width))
        self.linear = nn.Linear(width, outputs)


class STDiT3(nn.Module):
    """The blocks are those of the model; positions and the last layer, which no time is taken of, are left out."""

    def __init__(self, hidden_size, depth, num_heads, caption_channels, model_max_length, in_channels=4,
                 patch_size=(1, 2, 2), mlp_ratio=4, pred_sigma=True, **_):
        super().__init__()
        d = hidden_size
        self.rope = Rope(d // num_heads)
        self.x_embedder = PatchEmbedder(in_channels, d, tuple(patch_size))
        self.t_embedder, self.fps_embedder = TimeEmbedder(d), TimeEmbedder(d)
        self.t_block = nn.Sequential(nn.SiLU(), nn.Linear(d, 6 * d))
        self.y_embedder = Captions(caption_channels, d, model_max_length)
        blocks = lambda temporal: nn.ModuleList(Block(d, num_heads, mlp_ratio, temporal) for _ in range(depth))
        self.spatial_blocks, self.temporal_blocks = blocks(False), blocks(True)
        self.final_layer = Final(d, math.prod(patch_size) * in_channels * (2 if pred_sigma else 1))

    def forward(self, x, timestep, captions, fps, positions):
        frames = x.shape[2]
        # Whole patches: zeros are appended to the axes, the last one first.
        sizes = self.x_embedder.proj.stride
        x = F.pad(x, [end for axis in (2, 1, 0) for end in (0, -x.shape[2 + axis] % sizes[axis])])
        tokens = self.x_embedder.proj(x).flatten(3).permute(0, 2, 3, 1)
        tokens = (tokens + positions.to(tokens.dtype)).flatten(1, 2)
        time = self.t_embedder(timestep) + self.fps_embedder(fps)
        text = self.y_embedder.y_proj(captions)
        angles = torch.arange(frames)[:, None] * self.rope.freqs.float()
        twice = angles.repeat_interleave(2, -1)
        rope = (twice.cos().to(x.dtype), twice.sin().to(x.dtype))
        for spatial, temporal in zip(self.spatial_blocks, self.temporal_blocks):
            for block in (spatial, temporal):
                tokens = block(tokens, text, self.t_block(time), frames, rope)
        return tokens
