"""Rectified-flow training of a tiny pixel-space Wan2.1 transformer on 8-frame 64x64 emoji clips.

The network predicts the clean clip (JiT, arXiv 2511.13720); the loss is that of the velocity which follows from it.

Start it with launch.sh (two single-thread processes, gradients averaged over gloo) or alone. The learning rate follows
a cosine over the wall clock (--minutes or --until) or over --steps. Writes OUT/latest and OUT/final (EMA weights) and
OUT/state.pt (weights, EMA and both optimizers; --resume starts a fresh cosine from it).
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

import common
from common import NULL, TOKENS, TinyWan

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(1, os.path.dirname(HERE))
from muon import Muon, average_gradients  # noqa: E402


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    length = p.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, help="wall-clock length, compilation (1-2 minutes) included")
    length.add_argument("--until", type=float, help="the same as a Unix time")
    length.add_argument("--steps", type=int)
    p.add_argument("--out", default=f"{HERE}/run")
    p.add_argument("--data", default=f"{HERE}/data", help="folder with clips.npy and meta.json")
    p.add_argument("--resume", help="state.pt of an earlier run")
    p.add_argument("--init", help="checkpoint folder to start from (weights only); one of smaller patches is what grow.py makes larger")
    p.add_argument("--batch", type=int, default=8, help="clips per process")
    p.add_argument("--lr", type=float, default=1e-3, help="AdamW")
    p.add_argument("--muon", type=float, default=0.02, help="Muon, for the matrices inside the blocks")
    p.add_argument("--peak", type=float, default=1.0, help="factor on both learning rates; 0.7 is good for a resume")
    p.add_argument("--warm", type=int, default=100, help="warm-up steps")
    p.add_argument("--ema", type=float, default=0.998)
    p.add_argument("--t-mean", type=float, default=0.5, help="mean of the logit-normal noise levels")
    p.add_argument("--uniform", type=float, default=0.1, help="share of uniform noise levels")
    p.add_argument("--small", type=float, default=0.0, help="share of small noise levels, uniform in 0.02..0.3: against grain")
    p.add_argument("--keywords", type=float, default=0.3, help="share of captions with one or two keywords added")
    p.add_argument("--null", type=float, default=0.1, help="share of null captions, for guidance")
    for name, value in (("patch", 8), ("layers", 6), ("heads", 6), ("head-dim", 32), ("ffn", 768), ("text-dim", 128), ("seed", 0)):
        p.add_argument(f"--{name}", type=int, default=value)
    p.add_argument("--save-every", type=float, default=240, help="seconds")
    p.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    p.add_argument("--check", action="store_true", help="compare the forward pass with diffusers on random weights and leave")
    a = p.parse_args()
    if not (a.minutes or a.until or a.steps or a.check):
        p.error("one of --minutes, --until, --steps is needed")
    return a


class Batches:
    """Endless shuffled clips with captions, noise levels stratified over all processes, and noise."""

    def __init__(self, a, clips, meta, rank, world, step):
        self.a, self.clips, self.items, self.rank, self.world = a, clips, meta["items"], rank, world
        self.ids = {w: i for i, w in enumerate(meta["vocab"])}
        self.rng = np.random.default_rng(1000 + rank + a.seed * 10 + step)
        self.gen = torch.Generator().manual_seed(5000 + rank + a.seed * 10 + step)
        self.order = []

    def caption(self, item):
        u = self.rng.random()
        if u < self.a.null:
            return [NULL]
        w, kw = list(item["words"]), item["kw"]
        if u < self.a.null + self.a.keywords and kw:
            w += [kw[j] for j in self.rng.permutation(len(kw))[: self.rng.integers(1, 3)]]
        return [self.ids[x] for x in w[:TOKENS]]

    def next(self):
        n, gen, picked = self.a.batch, self.gen, []
        while len(picked) < n:
            if not self.order:
                self.order = list(self.rng.permutation(len(self.items)))
            picked.append(self.order.pop())
        tokens = torch.zeros(n, TOKENS, dtype=torch.long)
        for i, j in enumerate(picked):
            row = self.caption(self.items[j])
            tokens[i, : len(row)] = torch.tensor(row)
        u = ((torch.arange(n) * self.world + self.rank) + torch.rand(n, generator=gen)) / (n * self.world)
        u = u[torch.randperm(n, generator=gen)].clamp(1e-4, 1 - 1e-4)
        t = torch.sigmoid(math.sqrt(2) * torch.erfinv(2 * u - 1) + self.a.t_mean)
        t = torch.where(torch.rand(n, generator=gen) < self.a.uniform, torch.rand(n, generator=gen), t)
        t = torch.where(torch.rand(n, generator=gen) < self.a.small, 0.02 + 0.28 * torch.rand(n, generator=gen), t)
        x0 = self.clips[torch.tensor(picked)]
        noise = torch.randn(x0.shape, generator=gen)
        s = t[:, None, None, None, None]
        return (1 - s) * x0 + s * noise, tokens, t, x0


def check(model, embedding, clips, vocab_size):
    reference = common.diffusers_model(model.config)
    assert [n for n, _ in reference.named_parameters()] == [n for n, _ in model.named_parameters()]
    for p in model.parameters():
        nn.init.normal_(p, std=0.05)
    reference.load_state_dict(model.state_dict())
    x, tokens, t = torch.randn(2, *clips.shape[1:]), torch.randint(0, vocab_size, (2, TOKENS)), torch.tensor([0.3, 0.9])
    with torch.no_grad():
        text = embedding(tokens)
        want = reference(x, t * 1000, text).sample
        for dtype in (torch.float32, torch.bfloat16):
            got = model.unpatchify(model.forward_patches(model.patchify(x), t * 1000, text, dtype).float())
            print(f"relative error against diffusers, {dtype}: {float((got - want).norm() / want.norm()):.2e}")


def main():
    a = options()
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    end = a.until or (time.time() + 60 * a.minutes if a.minutes else None)
    torch.set_num_threads(1)
    torch.manual_seed(a.seed)
    if world > 1:  # the long timeout lets the processes be paused (SIGSTOP) for a while
        dist.init_process_group("gloo", timeout=datetime.timedelta(hours=12))
    os.makedirs(a.out, exist_ok=True)

    meta = common.read_json(f"{a.data}/meta.json")
    vocab = meta["vocab"]
    rgba = torch.from_numpy(np.load(f"{a.data}/clips.npy")).permute(0, 4, 1, 2, 3).float() / 255
    clips = ((rgba[:, :3] + 1 - rgba[:, 3:]) * 2 - 1).contiguous()  # on white, -1..1, [N, 3, frames, size, size]

    model = TinyWan(common.wan_config((2, a.patch, a.patch), heads=a.heads, head_dim=a.head_dim, layers=a.layers, ffn=a.ffn, text_dim=a.text_dim), *clips.shape[2:4])
    model.zero_init()
    embedding = nn.Embedding(len(vocab), a.text_dim)
    nn.init.normal_(embedding.weight, std=0.5)
    if a.init:
        _, table, known, weights, _ = common.load_checkpoint(a.init)
        model.load_state_dict(weights)
        with torch.no_grad():
            for word, i in known.items():
                if word in vocab:
                    embedding.weight[vocab.index(word)] = table[i]
    if a.check:
        return check(model, embedding, clips, len(vocab))

    def loss_of(x, tokens, t, target):
        out = model.forward_patches(x, t * 1000, embedding(tokens), torch.bfloat16).float()
        return (((out - target) / t.clamp_min(0.05)[:, None, None]) ** 2).mean()

    loss_fn = torch.compile(loss_of) if a.compile else loss_of
    params = [*model.parameters(), *embedding.parameters()]
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and n.startswith("blocks.") and "norm" not in n]
    chosen = {id(p) for p in matrices}
    others = [p for p in params if id(p) not in chosen]
    adamw = torch.optim.AdamW(others, lr=a.lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    muon = Muon(matrices, rank, world, sync=torch.bfloat16)
    ema = [p.detach().clone() for p in params]
    step, clips_seen, elapsed = 0, 0, 0.0
    if a.resume:
        state = torch.load(a.resume, map_location="cpu")
        with torch.no_grad():
            for old, new in ((state["params"], params), (state["ema"], ema), (state["mom"], muon.momentum)):
                for x, y in zip(old, new, strict=True):
                    y.copy_(x)
        adamw.load_state_dict(state["opt"])
        step, clips_seen, elapsed = state["step"], state["clips"], state["elapsed"]
    if world > 1:
        for p in params:
            dist.broadcast(p.data, 0)
    first, batches, losses = step, Batches(a, clips, meta, rank, world, step), []

    def save(tag):
        names = [n for n, _ in model.named_parameters()]
        seconds = time.time() - t0
        train = dict(
            step=step, clips=clips_seen, batch=a.batch * world, loss_last_200=float(np.mean(losses[-200:])), seconds=round(elapsed + seconds),
            clips_per_s=round((step - first) * a.batch * world / seconds, 1), params=sum(p.numel() for p in model.parameters()),
            options={k: v for k, v in vars(a).items() if k not in ("out", "data", "init", "resume", "check")},
        )  # fmt: skip
        save_dict = {n: e.clone() for n, e in zip(names, ema)}
        common.save_checkpoint(f"{a.out}/{tag}", model.config, save_dict, ema[-1].clone(), vocab, train)
        state = dict(params=[p.detach() for p in params], ema=ema, mom=muon.momentum, opt=adamw.state_dict(), step=step, clips=clips_seen, elapsed=elapsed + seconds)
        torch.save(state, f"{a.out}/state.tmp")
        os.replace(f"{a.out}/state.tmp", f"{a.out}/state.pt")

    start, t0 = time.time(), None
    while True:
        x, tokens, t, target = batches.next()
        loss = loss_fn(model.patchify(x), tokens, t, model.patchify_target(target))
        loss.backward()
        if t0 is None:  # compiled now
            t0 = logged = saved = time.time()
            print(f"rank {rank}: first step after {t0 - start:.0f} s, {sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
        progress = (step + 1 - first) / a.steps if a.steps else min(1.0, (time.time() - t0) / max(1e-9, end - t0))
        progress = average_gradients(params, progress, world)
        norm = float(nn.utils.clip_grad_norm_(others, 1.0))
        warm = min(1, (step - first + 1) / a.warm)
        factor = a.peak * warm * (0.5 * (1 + math.cos(math.pi * min(progress, 1))) * 0.98 + 0.02)
        adamw.param_groups[0]["lr"] = a.lr * factor
        adamw.step()
        muon.step(a.muon * factor)
        for p in params:
            p.grad = None
        step += 1
        clips_seen += a.batch * world
        with torch.no_grad():
            torch._foreach_lerp_(ema, [p.data for p in params], 1 - min(a.ema, (1 + step) / (10 + step)))
        losses.append(float(loss.detach()))
        now = time.time()
        if rank == 0 and now - logged > 15:
            rate = (step - first) * a.batch * world / (now - t0)
            print(f"{time.strftime('%H:%M:%S')} step {step} clips {clips_seen} loss {np.mean(losses[-100:]):.4f} lr {factor:.3f} norm {norm:.2f} {rate:.1f} clips/s {progress:.1%}", flush=True)
            logged = now
        if rank == 0 and now - saved > a.save_every:
            save("latest")
            saved = now
        if progress >= 0.999:
            break
    if rank == 0:
        save("final")
        print(f"done: step {step}, loss {np.mean(losses[-200:]):.4f}")


if __name__ == "__main__":
    main()
