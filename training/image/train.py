"""Rectified-flow training of a tiny pixel-space FLUX (diffusers' FluxTransformer2DModel) on 64x64 emoji.

The network predicts the clean picture (JiT, arXiv 2511.13720); the loss is that of the velocity which follows from it.
Start it with launch.sh (two single-thread processes, gradients averaged over gloo) or alone. The learning rate follows
a cosine over the wall clock (--minutes or --until) or over --steps. Writes OUT/latest and OUT/final (EMA weights).
"""
import argparse
import datetime
import math
import os
import sys
import time

import numpy as np
import torch
import torch.distributed as dist
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

import common
from common import NULL, TOKENS

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(1, os.path.dirname(HERE))
from muon import Muon, average_gradients  # noqa: E402


def plain_attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    """Faster than the fused attention at 72 tokens on CPU."""
    scores = torch.matmul(query, key.transpose(-1, -2)).float() * query.shape[-1] ** -0.5
    return torch.matmul(torch.softmax(scores, -1).to(value.dtype), value)


F.scaled_dot_product_attention = plain_attention
from diffusers import FluxTransformer2DModel  # noqa: E402

NO_FLIP = {
    "red question mark", "check mark button", "check mark", "infinity", "timer clock", "pool 8 ball", "watch", "alarm clock", "stopwatch",
    "face with symbols on mouth", "calendar", "radio", "abacus",
}  # fmt: skip


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    length = p.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, help="wall-clock length, compilation (1-2 minutes) included")
    length.add_argument("--until", type=float, help="the same as a Unix time")
    length.add_argument("--steps", type=int)
    p.add_argument("--out", default=f"{HERE}/run")
    p.add_argument("--data", default=f"{HERE}/data", help="folder with images.npy and meta.json")
    p.add_argument("--init", help="checkpoint folder to start from (weights only)")
    p.add_argument("--from-progress", type=float, default=0.0, help="where on the cosine to start, 0..1 (with --init)")
    p.add_argument("--batch", type=int, default=32, help="pictures per process")
    p.add_argument("--lr", type=float, default=1e-3, help="AdamW")
    p.add_argument("--muon", type=float, default=0.02, help="Muon, for the matrices inside the blocks")
    p.add_argument("--warm", type=int, default=200, help="warm-up steps")
    p.add_argument("--ema", type=float, default=0.999)
    p.add_argument("--t-mean", type=float, default=0.0, help="mean of the logit-normal noise levels")
    p.add_argument("--small", type=float, default=0.0, help="share of small noise levels, uniform in 0.02..0.3: against grain")
    p.add_argument("--backgrounds", type=float, default=0.25, help="share of pictures on a coloured background")
    for name, value in (("patch", 8), ("double", 2), ("single", 4), ("heads", 6), ("head-dim", 32), ("text-dim", 128), ("seed", 0)):
        p.add_argument(f"--{name}", type=int, default=value)
    p.add_argument("--save-every", type=float, default=300, help="seconds")
    p.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    return p.parse_args()


class Batches:
    """Endless shuffled pictures, flipped and on backgrounds, with captions and noise."""

    def __init__(self, a, images, meta, rank):
        self.a, self.images, self.items, self.colors = a, images, meta["items"], list(meta["colors"].items())
        self.fixed = torch.tensor([i["name"] in NO_FLIP or i["group"] == "Symbols" for i in self.items])
        self.ids = {w: i for i, w in enumerate(meta["vocab"])}
        self.rng = np.random.default_rng(1000 + rank + a.seed * 10)
        self.gen = torch.Generator().manual_seed(5000 + rank + a.seed * 10)
        self.order = []

    def caption(self, item, background):
        rng = self.rng
        u = rng.random()
        if u < 0.10:
            return [NULL]
        kw, w = item["kw"], list(item["words"])
        if u < 0.40 and kw:  # name and keywords
            k = rng.integers(1, 3)
            w += [kw[j] for j in rng.permutation(len(kw))[:k]]
        elif u < 0.47 and len(kw) >= 2:  # keywords only
            k = min(len(kw), int(rng.integers(2, 4)))
            w = [kw[j] for j in rng.permutation(len(kw))[:k]]
        w = w[:6] + [background, "background"] if background else w[:TOKENS]
        return [self.ids[x] for x in w]

    def next(self):
        n, patch, picked = self.a.batch, self.a.patch, []
        while len(picked) < n:
            if not self.order:
                self.order = list(self.rng.permutation(len(self.items)))
            picked.append(self.order.pop())
        picked = torch.tensor(picked)
        x = self.images[picked].float() / 255
        flip = torch.from_numpy(self.rng.random(n) < 0.5) & ~self.fixed[picked]
        x = torch.where(flip[:, None, None, None], x.flip(-1), x)
        tokens, paper = torch.zeros(n, TOKENS, dtype=torch.long), torch.ones(n, 3, 1, 1)
        for i, j in enumerate(picked.tolist()):
            background = None
            if self.rng.random() < self.a.backgrounds:
                background, color = self.colors[self.rng.integers(len(self.colors))]
                paper[i, :, 0, 0] = torch.tensor(color) / 255
            row = self.caption(self.items[j], background)
            tokens[i, : len(row)] = torch.tensor(row)
        x0 = (x[:, :3] + paper * (1 - x[:, 3:])) * 2 - 1
        grid = x0.shape[-1] // patch  # patch vectors in the order (row, column, colour)
        x0 = x0.view(n, 3, grid, patch, grid, patch).permute(0, 2, 4, 3, 5, 1).reshape(n, grid * grid, -1)
        t = torch.sigmoid(torch.randn(n, generator=self.gen) + self.a.t_mean)
        t = torch.where(torch.rand(n, generator=self.gen) < 0.1, torch.rand(n, generator=self.gen), t)
        small = torch.rand(n, generator=self.gen) < self.a.small
        t = torch.where(small, 0.02 + 0.28 * torch.rand(n, generator=self.gen), t)
        noise = torch.randn(x0.shape, generator=self.gen)
        s = t[:, None, None]
        return (1 - s) * x0 + s * noise, tokens, t, x0


def main():
    a = options()
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    end = a.until or (time.time() + 60 * a.minutes if a.minutes else None)
    torch.set_num_threads(1)
    torch.manual_seed(a.seed)
    if world > 1:
        dist.init_process_group("gloo", timeout=datetime.timedelta(hours=12))
    os.makedirs(a.out, exist_ok=True)

    meta = common.read_json(f"{a.data}/meta.json")
    vocab = meta["vocab"]
    images = torch.from_numpy(np.load(f"{a.data}/images.npy")).permute(0, 3, 1, 2).contiguous()  # [N, 4, size, size] premultiplied
    model = FluxTransformer2DModel(
        patch_size=1, in_channels=3 * a.patch**2, num_layers=a.double, num_single_layers=a.single, attention_head_dim=a.head_dim,
        num_attention_heads=a.heads, joint_attention_dim=a.text_dim, pooled_projection_dim=a.text_dim, guidance_embeds=False,
        axes_dims_rope=(8, 12, 12) if a.head_dim == 32 else (16, 24, 24),
    )  # fmt: skip
    for name, p in model.named_parameters():  # no modulation, zero output
        if any(s in name for s in ("norm1.linear", "norm1_context.linear", ".norm.linear", "norm_out.linear")) or name.startswith("proj_out"):
            nn.init.zeros_(p)
    embedding = nn.Embedding(len(vocab), a.text_dim)
    nn.init.normal_(embedding.weight, std=0.5)
    if a.init:
        model.load_state_dict(load_file(f"{a.init}/{common.WEIGHTS.format('')}"))
        embedding.weight.data.copy_(load_file(f"{a.init}/text/embeddings.safetensors")["embeddings.weight"])
    ids = torch.cat([torch.zeros(TOKENS, 3), common.image_ids(images.shape[-1] // a.patch)])
    rope = tuple(r.float() for r in model.pos_embed(ids))

    def loss_of(x, tokens, t, target):
        text, pooled = common.encode(embedding, tokens)
        temb = model.time_text_embed(t * 1000, pooled)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            h, c = model.x_embedder(x), model.context_embedder(text)
            for block in (*model.transformer_blocks, *model.single_transformer_blocks):
                c, h = block(hidden_states=h, encoder_hidden_states=c, temb=temb, image_rotary_emb=rope)
            out = model.proj_out(model.norm_out(h, temb))
        return (((out.float() - target) / t.clamp_min(0.05)[:, None, None]) ** 2).mean()

    loss_fn = torch.compile(loss_of) if a.compile else loss_of
    params = [*model.parameters(), *embedding.parameters()]
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "transformer_blocks" in n and "norm" not in n]
    chosen = {id(p) for p in matrices}
    others = [p for p in params if id(p) not in chosen]
    adamw = torch.optim.AdamW(others, lr=a.lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    muon = Muon(matrices, rank, world)
    if world > 1:
        for p in params:
            dist.broadcast(p.data, 0)
    ema = [p.detach().clone() for p in params]
    batches, losses, step = Batches(a, images, meta, rank), [], 0

    def save(tag):
        folder = f"{a.out}/{tag}"
        os.makedirs(f"{folder}/text", exist_ok=True)
        current = [p.detach().clone() for p in params]
        for p, e in zip(params, ema):
            p.data.copy_(e)
        model.save_pretrained(f"{folder}/transformer")
        save_file({"embeddings.weight": embedding.weight.detach().clone()}, f"{folder}/text/embeddings.safetensors", metadata={"format": "pt"})
        for p, c in zip(params, current):
            p.data.copy_(c)
        common.write_json(vocab, f"{folder}/text/vocab.json")
        train = dict(
            step=step, images=step * a.batch * world, batch=a.batch * world, loss_last_500=float(np.mean(losses[-500:])), seconds=round(time.time() - t0),
            params=sum(p.numel() for p in model.parameters()), options={k: v for k, v in vars(a).items() if k not in ("out", "data", "init")},
        )  # fmt: skip
        common.write_json(train, f"{folder}/train.json")

    start, t0 = time.time(), None
    while True:
        loss = loss_fn(*batches.next())
        loss.backward()
        if t0 is None:  # compiled now
            t0 = logged = saved = time.time()
            print(f"rank {rank}: first step after {t0 - start:.0f} s, {sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
        progress = (step + 1) / a.steps if a.steps else min(1.0, (time.time() - t0) / max(1e-9, end - t0))
        progress = average_gradients(params, progress, world)
        norm = float(nn.utils.clip_grad_norm_(others, 1.0))
        along = a.from_progress + (1 - a.from_progress) * min(progress, 1)
        factor = min(1, (step + 1) / a.warm) * (0.5 * (1 + math.cos(math.pi * along)) * 0.98 + 0.02)
        adamw.param_groups[0]["lr"] = a.lr * factor
        adamw.step()
        muon.step(a.muon * factor)
        for p in params:
            p.grad = None
        step += 1
        decay = min(a.ema, (1 + step) / (10 + step)) if not a.init or step > 150 else 0.98
        with torch.no_grad():
            torch._foreach_lerp_(ema, [p.data for p in params], 1 - decay)
        losses.append(float(loss.detach()))
        now = time.time()
        if rank == 0 and now - logged > 20:
            n = step * a.batch * world
            print(f"{time.strftime('%H:%M:%S')} step {step} images {n} loss {np.mean(losses[-200:]):.4f} lr {factor:.3f} norm {norm:.2f} {n / (now - t0):.0f} images/s {progress:.1%}", flush=True)
            logged = now
        if rank == 0 and now - saved > a.save_every:
            save("latest")
            saved = now
        if progress >= 0.999:
            break
    if rank == 0:
        save("final")
        print(f"done: step {step}, loss {np.mean(losses[-500:]):.4f}")


if __name__ == "__main__":
    main()
