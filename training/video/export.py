"""Write a model folder from a checkpoint: fp32 and fp16 weights, tokenizer, scheduler, pipeline description, fixtures."""
import argparse
import os
import shutil
import statistics

import torch
from safetensors.torch import save_file

import common

DTYPES = ((torch.float32, ""), (torch.float16, ".fp16"))


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("checkpoint", help="e.g. run/final")
    p.add_argument("out")
    p.add_argument("--data", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "data"))
    p.add_argument("--shift", type=float, default=1.0)
    p.add_argument("--guidance", type=float, default=2.0, help="the default written to pipeline.json")
    p.add_argument("--steps", type=int, default=30)
    p.add_argument("--fixture-prompt", default="ghost")
    p.add_argument("--fixture-guidance", type=float, default=3.0)
    p.add_argument("--diffusers", action="store_true", help="compute the fixtures with diffusers' WanTransformer3DModel")
    a = p.parse_args()
    torch.set_num_threads(1)

    out = a.out
    for sub in ("transformer", "text", "scheduler", "fixtures", "samples"):
        os.makedirs(f"{out}/{sub}", exist_ok=True)
    model, embeddings, ids, weights, config = common.load_checkpoint(a.checkpoint, a.diffusers)
    meta = common.read_json(f"{a.data}/meta.json")
    common.write_json(config, f"{out}/transformer/config.json", indent=2)
    for dtype, tag in DTYPES:
        save_file({k: v.to(dtype).contiguous() for k, v in weights.items()}, f"{out}/{common.WEIGHTS.format(tag)}", metadata={"format": "pt"})
        save_file({"embeddings.weight": embeddings.to(dtype)}, f"{out}/text/embeddings{tag}.safetensors", metadata={"format": "pt"})
    common.write_json(ids, f"{out}/text/vocab.json")
    tokenizer = dict(
        max_length=common.TOKENS, unknown_words="drop (<unk> was never trained)", pad_id=common.PAD, unk_id=common.UNK, null_id=common.NULL,
        lowercase=True, pattern="[a-z0-9]+", stop_words=meta["stop"], attention_mask=False,
        note="no words left after stop-word removal, or the unconditional prompt: [<null>] then <pad>; the rows of all 8 ids are encoder_hidden_states, pads take part in cross-attention",
    )  # fmt: skip
    common.write_json(tokenizer, f"{out}/text/tokenizer_config.json", indent=1)
    scheduler = dict(_class_name="FlowMatchEulerDiscreteScheduler", num_train_timesteps=1000, shift=a.shift, use_dynamic_shifting=False)
    common.write_json(scheduler, f"{out}/scheduler/scheduler_config.json", indent=1)
    (frames, rows, columns), patch = model.grid, config["patch_size"]
    size = rows * patch[1]
    pipeline = dict(
        image_size=size, frames=frames * patch[0], channels=3, patch_size=patch, grid=[frames, rows, columns], video_tokens=frames * rows * columns,
        latent_shape=[3, frames * patch[0], size, size],
        latent_order="channel, frame, row, col (pixels, no VAE)", patch_in_order="channel, frame, row, col (the flattened Conv3d weight)",
        patch_out_order="frame, row, col, channel (as WanTransformer3DModel un-patchifies)", token_order="frame, row, col", range=[-1, 1],
        sigmas="s = linspace(1, 1/T, T); sigma = shift*s/(1+(shift-1)*s); then 0", shift=a.shift, timestep="1000 * sigma",
        update="x += (sigma_next - sigma) * v", prediction="sample", velocity="(x - prediction) / sigma", default_steps=a.steps, default_guidance=a.guidance,
        cfg="v = vu + g*(vc - vu), unconditional = null prompt", null_ids=common.null_tokens(1)[0].tolist(), frame_duration_ms=200,
        source_loop_ms_median=statistics.median(i["ms"] for i in meta["items"]), loop=True, background="white",
    )  # fmt: skip
    common.write_json(pipeline, f"{out}/pipeline.json", indent=1)
    prompts = [
        dict(prompt=" ".join(i["words"]), name=i["name"], emoji=i["emoji"], group=i["group"], keywords=i["kw"], source_frames=i["frames"], source_ms=i["ms"])
        for i in meta["items"]
    ]
    common.write_json(prompts, f"{out}/prompts.json")
    shutil.copy(f"{a.checkpoint}/train.json", f"{out}/train.json")

    tokens = common.tokenize([a.fixture_prompt], ids)
    noise = torch.randn(1, *pipeline["latent_shape"], generator=torch.Generator().manual_seed(7))
    fixture = dict(
        tokens=tokens.int(), null_tokens=common.null_tokens(1).int(), noise=noise.clone(), encoder_hidden_states=embeddings[tokens],
        encoder_hidden_states_null=embeddings[common.null_tokens(1)], sigmas=torch.tensor(common.sigmas(a.steps, a.shift)),
    )  # fmt: skip
    final = common.sample(model, embeddings, tokens, noise, a.steps, a.fixture_guidance, a.shift, record=fixture)
    fixture["final"] = final
    about = dict(prompt=a.fixture_prompt, guidance=str(a.fixture_guidance), steps=str(a.steps), shift=str(a.shift), seed="7 (torch.Generator)", weights="fp32")
    save_file({k: v.contiguous() for k, v in fixture.items()}, f"{out}/fixtures/reference.safetensors", metadata=about)

    model.load_state_dict({k: v.half().float() for k, v in weights.items()})
    half = common.sample(model, embeddings.half().float(), tokens, noise, a.steps, a.fixture_guidance, a.shift)
    error = float((((half.clamp(-1, 1) - final.clamp(-1, 1)) / 2) ** 2).mean())
    print(f"{out}: {sum(v.numel() for v in weights.values()):,} parameters, {len(ids)} words; fp16 against fp32: {-10 * torch.log10(torch.tensor(error)):.1f} dB")


if __name__ == "__main__":
    main()
