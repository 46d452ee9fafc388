"""Sample a sheet of pictures from a checkpoint."""
import argparse

import numpy as np
import torch
from PIL import Image

import common

NAMES = (
    "lion|tiger face|panda|red apple|banana|strawberry|pizza|hamburger|doughnut|birthday cake|rocket|airplane|automobile|bicycle|sailboat|house|castle|"
    "rainbow|sun with face|snowman|fire|red heart|blue heart|star|ghost|robot|alien|skull|pile of poo|clown face|smiling face with sunglasses|"
    "face with tears of joy|loudly crying face|angry face|thinking face|cat face|dog face|frog|penguin|owl|octopus|crab|butterfly|cactus|sunflower|"
    "mushroom|pineapple|watermelon|soccer ball|basketball|guitar|trophy|crown|light bulb|key|bomb|camera|laptop|umbrella|alarm clock|Santa Claus|"
    "astronaut|jack-o-lantern|Christmas tree"
).split("|")
MORE = (
    "lion on blue background|red apple on green background|ghost on purple background|panda on yellow background|rocket on black background|"
    "pizza on red background|star on blue background|robot on pink background|happy|sad|animal|fruit|love|flower|car|music|green apple|purple heart|"
    "orange circle|blue square|bird|fish|food|tree|money|sport|king|space|ocean|winter|drink|tool"
).split("|")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("checkpoint", help="e.g. run/final, or an exported model folder")
    p.add_argument("out", help="PNG file")
    p.add_argument("--prompts", default="names", help="names, more (backgrounds and single keywords), or a comma-separated list")
    p.add_argument("--guidance", type=float, default=3.0)
    p.add_argument("--steps", type=int, default=30)
    p.add_argument("--shift", type=float, default=1.0)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=1)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    model, embeddings, ids = common.load_checkpoint(a.checkpoint)
    prompts = {"names": NAMES, "more": MORE}.get(a.prompts) or [s.strip() for s in a.prompts.split(",")]
    patch, grid = round((model.config.in_channels / 3) ** 0.5), 8
    size, n = grid * patch, len(prompts)
    noise = torch.randn(n, grid * grid, model.config.in_channels, generator=torch.Generator().manual_seed(a.seed))
    x = common.sample(model, embeddings, common.tokenize(prompts, ids), noise, a.steps, a.guidance, a.shift)
    pictures = common.pictures(x, patch).numpy()
    columns, step, scale = min(n, 16 if n >= 32 else 8), size + 2, 2
    page = np.full((-(-n // columns) * step, columns * step, 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        r, c = divmod(i, columns)
        page[r * step : r * step + size, c * step : c * step + size] = picture
    Image.fromarray(page).resize((page.shape[1] * scale, page.shape[0] * scale), Image.NEAREST).save(a.out)


if __name__ == "__main__":
    main()
