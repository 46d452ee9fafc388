"""Names against the training pictures: is the nearest one the named one, how far is it, and how much grain is left."""
import argparse
import os

import numpy as np
import torch
import torch.nn.functional as F

import common

HERE = os.path.dirname(os.path.abspath(__file__))


def grain(x):
    """[N, H, W, 3] minus its 3 x 3 mean"""
    y = x.permute(0, 3, 1, 2)
    return (y - F.avg_pool2d(F.pad(y, (1, 1, 1, 1), mode="replicate"), 3, 1)).permute(0, 2, 3, 1)


def inner(mask, reach):
    """Where everything within `reach` pixels is in the mask."""
    return F.max_pool2d(1 - mask.float()[:, None], 2 * reach + 1, 1, reach)[:, 0] == 0


@torch.no_grad()
def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("checkpoint", help="e.g. run/final, or an exported model folder")
    p.add_argument("--data", default=f"{HERE}/data", help="folder with images.npy and meta.json")
    p.add_argument("--names", type=int, default=96, help="how many, spread over the list")
    p.add_argument("--seed", type=int, default=7000, help="of the first; counted up")
    p.add_argument("--batch", type=int, default=48)
    p.add_argument("--threads", type=int, default=1)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    model, table, ids = common.load_checkpoint(a.checkpoint)
    items = common.read_json(f"{a.data}/meta.json")["items"]
    rgba = torch.from_numpy(np.load(f"{a.data}/images.npy")).float() / 255
    white = rgba[..., :3] + 1 - rgba[..., 3:]
    picked = np.linspace(0, len(items) - 1, a.names).round().astype(int)
    tokens = common.tokenize([" ".join(items[i]["words"]) for i in picked], ids)
    noise = torch.stack([torch.randn(64, model.config.in_channels, generator=torch.Generator().manual_seed(a.seed + k)) for k in range(a.names)])
    drawn = [common.sample(model, table, t, x) for t, x in zip(tokens.split(a.batch), noise.split(a.batch))]
    drawn = common.pictures(torch.cat(drawn), round((model.config.in_channels / 3) ** 0.5)).float() / 255

    distance = torch.cdist(drawn.flatten(1), torch.cat([white, white.flip(2)]).flatten(1))
    nearest = distance.argmin(1).numpy() % len(items)
    both = torch.stack([distance[torch.arange(a.names), torch.from_numpy(picked + k * len(items))] for k in (0, 1)])
    error = (both.amin(0) ** 2 / drawn[0].numel()).numpy()
    psnr = -10 * np.log10(error)
    own = torch.stack([rgba[i].flip(1) if mirrored else rgba[i] for i, mirrored in zip(picked, both.argmin(0))])
    original = own[..., :3] + 1 - own[..., 3:]
    empty = inner(own[..., 3] == 0, 4)
    flat = inner((grain(original).abs().amax(-1) < 0.015) & (own[..., 3] > 0.99), 2)
    print(f"nearest is the named one   {int((nearest == picked).sum())} of {a.names}")
    print(f"PSNR to it, dB             mean {psnr.mean():.1f}, median {np.median(psnr):.1f}, 10 % quantile {np.quantile(psnr, 0.1):.1f}")
    print(f"mean squared error         {error.mean():.5f}")
    for what, mask in (("white background", empty), ("flat parts", flat)):
        of = [float((grain(x) ** 2).mean(-1)[mask].mean()) for x in (drawn, original)]
        print(f"grain, {what:<20}{of[0]:.1e} (training pictures {of[1]:.1e})")


if __name__ == "__main__":
    main()
