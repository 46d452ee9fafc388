"""Muon for the matrices of a small transformer, shared out over the processes of a gloo group."""
import torch
import torch.distributed as dist


def orthogonalize(g):
    """Newton-Schulz iteration in bfloat16: the nearest semi-orthogonal matrix, roughly."""
    x = g.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        a = x @ x.T
        b = torch.addmm(a, a, a, beta=-4.7750, alpha=2.0315)
        x = torch.addmm(x, b, x, beta=3.4445)
    return (x.T if tall else x).float()


class Muon:
    """Momentum 0.95 (Nesterov), weight decay 0.01. `sync` is the type in which the updates travel."""

    def __init__(self, params, rank, world, sync=torch.float32):
        self.params, self.rank, self.world, self.sync = params, rank, world, sync
        self.momentum = [torch.zeros_like(p) for p in params]

    @torch.no_grad()
    def step(self, lr):
        updates = [torch.zeros_like(p) for p in self.params]
        for j, (p, m) in enumerate(zip(self.params, self.momentum)):
            m.mul_(0.95).add_(p.grad)
            if j % self.world == self.rank:
                updates[j] = orthogonalize(p.grad + 0.95 * m) * max(1, p.shape[0] / p.shape[1]) ** 0.5
        if self.world > 1:
            flat = torch.cat([u.reshape(-1) for u in updates]).to(self.sync)
            dist.all_reduce(flat)
            updates = [x.view_as(u) for x, u in zip(flat.float().split([u.numel() for u in updates]), updates)]
        for p, u in zip(self.params, updates):
            p.mul_(1 - lr * 0.01).add_(u, alpha=-lr)


def average_gradients(params, progress, world):
    """Averages the gradients, and the progress of the schedule so that all processes agree on it."""
    if world == 1:
        return progress
    flat = torch.cat([p.grad.reshape(-1) for p in params] + [torch.tensor([progress])])
    dist.all_reduce(flat)
    flat /= world
    for p, g in zip(params, flat[:-1].split([p.numel() for p in params])):
        p.grad.copy_(g.view_as(p))
    return float(flat[-1])
