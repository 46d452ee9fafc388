"""Write a model folder from a checkpoint: fp32 and fp16 weights, tokenizer, scheduler, pipeline description, fixtures."""
import argparse
import json
import os
import shutil

import torch
from safetensors.torch import load_file, save_file

import common

DTYPES = ((torch.float32, ""), (torch.float16, ".fp16"))


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("checkpoint", help="e.g. run/final")
    p.add_argument("out")
    p.add_argument("--data", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "data"))
    p.add_argument("--guidance", type=float, default=3.0)
    p.add_argument("--steps", type=int, default=30)
    p.add_argument("--fixture-prompts", default="red heart,zebra")
    a = p.parse_args()
    torch.set_num_threads(1)

    out = a.out
    for sub in ("transformer", "text", "scheduler", "fixtures", "samples"):
        os.makedirs(f"{out}/{sub}", exist_ok=True)
    model, embeddings, ids = common.load_checkpoint(a.checkpoint)
    meta = common.read_json(f"{a.data}/meta.json")
    weights = {k: v.float() for k, v in load_file(f"{a.checkpoint}/{common.WEIGHTS.format('')}").items()}
    shutil.copy(f"{a.checkpoint}/transformer/config.json", f"{out}/transformer/config.json")
    for dtype, tag in DTYPES:
        save_file({k: v.to(dtype).contiguous() for k, v in weights.items()}, f"{out}/{common.WEIGHTS.format(tag)}", metadata={"format": "pt"})
        save_file({"embeddings.weight": embeddings.to(dtype)}, f"{out}/text/embeddings{tag}.safetensors", metadata={"format": "pt"})
    common.write_json(ids, f"{out}/text/vocab.json")
    tokenizer = dict(
        max_length=common.TOKENS, unknown_words="drop (<unk> was never trained)", pad_id=0, unk_id=1, null_id=common.NULL, lowercase=True,
        pattern="[a-z0-9]+", stop_words=meta["stop"], pooled="mean of the embeddings of the non-pad tokens", attention_mask=False,
        note="no words left after stop-word removal, or the unconditional prompt: [<null>] then <pad>; pads take part in attention",
    )  # fmt: skip
    common.write_json(tokenizer, f"{out}/text/tokenizer_config.json", indent=1)
    scheduler = dict(_class_name="FlowMatchEulerDiscreteScheduler", num_train_timesteps=1000, shift=1.0, use_dynamic_shifting=False)
    common.write_json(scheduler, f"{out}/scheduler/scheduler_config.json", indent=1)
    pipeline = dict(
        image_size=64, patch=8, grid=8, image_tokens=64, channels_per_token=192, patch_vector_order="row, col, rgb", range=[-1, 1],
        sigmas="linspace(1, 1/T, T) then 0 (shift 1.0)", update="x += (sigma_next - sigma) * v", prediction="sample", velocity="(x - prediction) / sigma", default_steps=a.steps,
        default_guidance=a.guidance, cfg="v = vu + s*(vc - vu), unconditional = null prompt", img_ids="[0,row,col]", txt_ids="zeros",
        background_colors=meta["colors"],
    )  # fmt: skip
    common.write_json(pipeline, f"{out}/pipeline.json", indent=1)
    prompts = [dict(prompt=" ".join(i["words"]), name=i["name"], emoji=i["emoji"], group=i["group"], keywords=i["kw"]) for i in meta["items"]]
    common.write_json(prompts, f"{out}/prompts.json")
    shutil.copy(f"{a.checkpoint}/train.json", f"{out}/train.json")

    fixture_prompts = a.fixture_prompts.split(",")
    tokens = common.tokenize(fixture_prompts, ids)
    noise = torch.stack([torch.randn(64, 192, generator=torch.Generator().manual_seed(100 + i)) for i in range(len(tokens))])
    fixture = {"in.tokens": tokens.int(), "in.noise": noise.clone()}
    final = common.sample(model, embeddings, tokens, noise, a.steps, a.guidance, record=fixture)
    fixture.update({"out.latent": final, "out.image": common.pictures(final).float() / 255})
    about = dict(prompts=json.dumps(fixture_prompts), guidance=str(a.guidance), steps=str(a.steps), weights="fp32")
    save_file({k: v.contiguous() for k, v in fixture.items()}, f"{out}/fixtures/reference.safetensors", metadata=about)

    model.load_state_dict({k: v.half().float() for k, v in weights.items()})
    half = common.sample(model, embeddings, tokens, noise, a.steps, a.guidance)
    error = (((half.clamp(-1, 1) - final.clamp(-1, 1)) / 2) ** 2).mean()
    print(f"{out}: {sum(v.numel() for v in weights.values()):,} parameters, {len(ids)} words; fp16 against fp32: {float(-10 * torch.log10(error)):.1f} dB")


if __name__ == "__main__":
    main()
