"""
Runs blocks of a transformer in PyTorch for index.ts, which asks in lines of JSON on stdin and reads lines of JSON.

  {"do": "load", "folder", "inputs", "blocks", "dtype", "threads"}   a model folder, a safetensors file of arguments
  {"do": "time", "blocks"}   seconds of one run of these blocks, or of the whole model where "blocks" is empty
  {"do": "output", "blocks", "file"}   writes what the last of them makes of the image tokens
"""
import json
import os
import sys
import time

import torch
from safetensors.torch import load_file, save_file

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
# Weights are loaded, so that drawing them first would be time for nothing.
for layer in (torch.nn.Linear, torch.nn.Conv2d, torch.nn.Conv3d):
    layer.reset_parameters = lambda self: None


def class_of(name):
    if name == "STDiT3":
        from open_sora import STDiT3

        return STDiT3
    if name == "MiniT2IMMJiTModel":
        from minit2i import MiniT2IMMJiTModel

        return MiniT2IMMJiTModel
    import diffusers

    return getattr(diffusers, name)


class Reference:
    def load(self, folder, inputs, blocks, dtype, threads):
        torch.set_num_threads(threads)
        with open(os.path.join(folder, "config.json")) as file:
            config = json.load(file)
        name = config.pop("_class_name")
        kind = class_of(name)
        model = kind.from_config(config) if hasattr(kind, "from_config") else kind(**config)
        weights = load_file(os.path.join(folder, "diffusion_pytorch_model.safetensors"))
        model.load_state_dict(weights)
        self.model = model.to(DTYPES[dtype]).eval()
        tensors = load_file(inputs)
        self.arguments = {k: v.to(DTYPES[dtype]) if v.ndim > 2 else v for k, v in tensors.items()}
        # FLUX's positions and times are numbers, whatever the weights are; pooled text is not.
        if "pooled_projections" in self.arguments:
            self.arguments["pooled_projections"] = self.arguments["pooled_projections"].to(DTYPES[dtype])
        self.calls = {}
        self.outputs = {}
        hooks = [self.watch(block) for block in blocks]
        self.forward()
        for hook in hooks:
            hook.remove()
        return {"torch": torch.__version__, "threads": torch.get_num_threads()}

    def watch(self, name):
        module = self.model.get_submodule(name)

        def seen(_, args, kwargs):
            self.calls[name] = (module, args, kwargs)

        return module.register_forward_pre_hook(seen, with_kwargs=True)

    def forward(self):
        output = self.model(**self.arguments)
        return output.sample if hasattr(output, "sample") else output[0] if isinstance(output, tuple) else output

    def run(self, blocks):
        if not blocks:
            return self.forward()
        for name in blocks:
            module, args, kwargs = self.calls[name]
            result = module(*args, **kwargs)
        return result

    def time(self, blocks):
        started = time.perf_counter()
        self.run(blocks)
        return {"seconds": time.perf_counter() - started}

    def output(self, blocks, file):
        result = self.run(blocks)
        if isinstance(result, tuple):
            # FLUX's blocks give the text first, CogVideoX's the image.
            result = result[1] if "Flux" in type(self.model).__name__ else result[0]
        save_file({"output": result.float().contiguous()}, file)
        return {}


def main():
    # What libraries print must not stand between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    reference = Reference()
    with torch.no_grad():
        for line in sys.stdin:
            request = json.loads(line)
            try:
                answer = getattr(reference, request.pop("do"))(**request)
            except Exception as error:  # the asker decides what to do without this case
                answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
            print(json.dumps(answer), file=answers, flush=True)


main()
