"""
MiniT2I's transformer in plain PyTorch, with the parameter names of its checkpoint and PyTorch's fused attention. The
text comes in as its own blocks leave it: they run once a prompt on both sides.
"""
import torch
import torch.nn.functional as F
from torch import nn


def tree(**modules):
    """Modules by their names, for those that are loaded and not run."""
    return nn.ModuleDict(modules)


class RmsNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, 1e-6)


class SwiGlu(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.w1, self.w3 = nn.Linear(width, hidden, bias=False), nn.Linear(width, hidden, bias=False)
        self.w2 = nn.Linear(hidden, width, bias=False)

    def forward(self, x):
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


def turned(x, cos, sin):
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin


class TextBlock(nn.Module):
    def __init__(self, width, hidden, head):
        super().__init__()
        self.norm1, self.norm2 = RmsNorm(width), RmsNorm(width)
        self.qkv, self.attn_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.q_norm, self.k_norm = RmsNorm(head), RmsNorm(head)
        self.mlp = SwiGlu(width, hidden)


class DoubleBlock(nn.Module):
    def __init__(self, width, hidden, heads, head):
        super().__init__()
        self.heads = heads
        for stream in ("img", "txt"):
            setattr(self, f"{stream}_norm1", RmsNorm(width))
            setattr(self, f"{stream}_norm2", RmsNorm(width))
            setattr(self, f"{stream}_qkv", nn.Linear(width, 3 * width))
            setattr(self, f"{stream}_attn_proj", nn.Linear(width, width))
            setattr(self, f"{stream}_mlp", SwiGlu(width, hidden))
        self.q_norm, self.k_norm = RmsNorm(head), RmsNorm(head)

    def split(self, x):
        return x.view(x.shape[0], x.shape[1], 3, self.heads, -1).permute(2, 0, 3, 1, 4)

    def forward(self, img, txt, cos, sin):
        both = torch.cat((self.split(self.txt_qkv(self.txt_norm1(txt))), self.split(self.img_qkv(self.img_norm1(img)))), 3)
        q, k, v = both
        q, k = turned(self.q_norm(q), cos, sin), turned(self.k_norm(k), cos, sin)
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        tokens = txt.shape[1]
        img = img + self.img_attn_proj(seen[:, tokens:])
        txt = txt + self.txt_attn_proj(seen[:, :tokens])
        return img + self.img_mlp(self.img_norm2(img)), txt + self.txt_mlp(self.txt_norm2(txt))


class Net(nn.Module):
    def __init__(self, c):
        super().__init__()
        width, patch, time = c["hidden_size"], c["patch_size"], c["cond_vec_size"]
        heads, head, text = c["num_heads"], c["head_dim"], c["txt_input_size"]
        hidden = 8 * -(-int(width * c["mlp_ratio"]) // 8)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, text))
        self.txt_embedder = nn.Linear(text, width, bias=False)
        self.t_embedder = tree(mlp=nn.Sequential(nn.Linear(256, time), nn.SiLU(), nn.Linear(time, time)))
        self.pooled_embedder = nn.Linear(text, time, bias=False)
        self.txt_preamble_blocks = nn.ModuleList(TextBlock(width, hidden, head) for _ in range(c["txt_preamble_depth"]))
        self.img_embedder = tree(
            proj1=nn.Conv2d(3, c["pca_channels"], patch, patch, bias=False), proj2=nn.Conv2d(c["pca_channels"], width, 1)
        )
        self.double_blocks = nn.ModuleList(DoubleBlock(width, hidden, heads, head) for _ in range(c["depth_double"]))
        self.final_layer = tree(norm_final=RmsNorm(width), linear=nn.Linear(width, 3 * patch * patch))


class MiniT2IMMJiTModel(nn.Module):
    def __init__(self, **config):
        super().__init__()
        self.patch = config["patch_size"]
        self.model = tree(net=Net(config))

    def forward(self, hidden_states, text, cos, sin, added, timestep, **_):
        net = self.model["net"]
        cos, sin, added = (table.to(hidden_states.dtype) for table in (cos, sin, added))
        img = net.img_embedder["proj2"](net.img_embedder["proj1"](hidden_states)).flatten(2).transpose(1, 2) + added
        txt = text
        for block in net.double_blocks:
            img, txt = block(img, txt, cos, sin)
        out = net.final_layer["linear"](net.final_layer["norm_final"](img))
        side = hidden_states.shape[-1] // self.patch
        pixels = out.view(-1, side, side, self.patch, self.patch, 3).permute(0, 5, 1, 3, 2, 4).reshape(hidden_states.shape)
        return (hidden_states - pixels) / timestep.clamp(min=0.05).view(-1, 1, 1, 1)
