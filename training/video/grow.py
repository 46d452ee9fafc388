"""A start for 8 x 8 patches made of a checkpoint of 4 x 4 ones: pooled input, repeated output.

usage: grow.py CHECKPOINT OUT. The old one predicts the velocity, noise - clip; half of its negative is a start for the clip.
"""
import sys

import torch

import common


def main():
    source, out = sys.argv[1:]
    _, table, ids, weights, config = common.load_checkpoint(source)
    frames, side = config["patch_size"][0], config["patch_size"][1]
    inputs = weights["patch_embedding.weight"]  # [dim, channel, frame, row, col]
    weights["patch_embedding.weight"] = inputs.repeat_interleave(2, 3).repeat_interleave(2, 4) / 4
    for name in ("proj_out.weight", "proj_out.bias"):  # rows in the order frame, row, col, channel
        rows = weights[name].unflatten(0, (frames, side, side, -1))
        weights[name] = -0.5 * rows.repeat_interleave(2, 1).repeat_interleave(2, 2).flatten(0, 3)
    config["patch_size"] = [frames, 2 * side, 2 * side]
    words = sorted(ids, key=ids.get)
    common.save_checkpoint(out, config, {k: v.contiguous() for k, v in weights.items()}, torch.clone(table), words, {})


if __name__ == "__main__":
    main()
