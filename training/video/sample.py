"""Sample clips from a checkpoint, draw a sheet and compare each clip with the training clip of that name.

Writes PREFIX.png (one row a prompt), PREFIX.webp (animated) and PREFIX.npy.
"""
import argparse
import os
import time

import numpy as np
import torch

import common


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoint", help="e.g. run/final, or an exported model folder")
    p.add_argument("prefix")
    p.add_argument("--data", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "data"))
    p.add_argument("--prompts", default="fixed", help="fixed (24 names), all (every training caption), or a comma-separated list of names")
    p.add_argument("--guidance", type=float, default=2.0)
    p.add_argument("--steps", type=int, default=30)
    p.add_argument("--shift", type=float, default=1.0)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=1)
    a = p.parse_args()
    torch.set_num_threads(a.threads)

    model, embeddings, ids, _, config = common.load_checkpoint(a.checkpoint)
    names = [" ".join(i["words"]) for i in common.read_json(f"{a.data}/meta.json")["items"]]
    prompts = {"all": names, "fixed": common.FIXED_PROMPTS}.get(a.prompts) or [s.strip() for s in a.prompts.split(",")]
    rgba = np.load(f"{a.data}/clips.npy").astype(np.float32) / 255
    truth = (rgba[..., :3] + 1 - rgba[..., 3:]).clip(0, 1)

    start = time.time()
    noise = torch.randn(len(prompts), config["in_channels"], *truth.shape[1:4], generator=torch.Generator().manual_seed(a.seed))
    tokens = common.tokenize(prompts, ids)
    parts = [common.sample(model, embeddings, tokens[i : i + 8], noise[i : i + 8], a.steps, a.guidance, a.shift) for i in range(0, len(prompts), 8)]
    clips = common.to_uint8(torch.cat(parts))
    np.save(a.prefix + ".npy", clips)
    common.save_sheet(clips, prompts, a.prefix + ".png", columns=1 if len(prompts) <= 24 else 3)
    common.save_animation(clips, a.prefix + ".webp")
    seconds = time.time() - start

    keys = [" ".join(common.name_words(s)) for s in prompts]
    known = [i for i, k in enumerate(keys) if k in names]
    if not known:
        return print(f"{len(prompts)} clips, {seconds:.0f} s")
    named = np.array([names.index(keys[i]) for i in known])
    made = clips[known].astype(np.float32) / 255
    distance = np.stack([((c - truth) ** 2).mean((1, 2, 3, 4)) for c in made])
    nearest = distance.argmin(1)
    psnr = -10 * np.log10(distance[np.arange(len(known)), named])
    motion = lambda z: np.abs(z - z.mean(1, keepdims=True)).mean((1, 2, 3, 4))
    ratio = motion(made) / motion(truth[named]).clip(1e-6)
    print(
        f"guidance {a.guidance}, {a.steps} steps, shift {a.shift}, seed {a.seed}: nearest training clip is the named one {(nearest == named).sum()}/{len(known)}, "
        f"PSNR mean {psnr.mean():.1f} median {np.median(psnr):.1f} min {psnr.min():.1f}, motion ratio median {np.median(ratio):.2f}, {seconds:.0f} s"
    )
    for i, near, want, db, r in zip(known, nearest, named, psnr, ratio):
        if near != want or db < 16:
            print(f"   {prompts[i]} -> {names[near]}, {db:.1f} dB, motion x{r:.2f}")


if __name__ == "__main__":
    main()
