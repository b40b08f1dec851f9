"""The Muon optimizer (Jordan and others, 2024) for matrices: momentum whose every direction gets the same step.

torch.optim.Muon computes in bfloat16, slow on most CPUs, and one matrix at a time; this is float32, a shape at a time."""
import torch

A, B, C = 3.4445, -4.7750, 2.0315       # Muon's coefficients: five steps bring singular values near 1


class Muon(torch.optim.Optimizer):
    """Steps are scaled to the root mean square of Adam's, so that one rate suits both."""

    def __init__(self, matrices, lr, momentum=0.95, weight_decay=0.05):
        shapes = {}
        for m in matrices:
            shapes.setdefault(m.shape, []).append(m)
        groups = [{"params": same} for same in shapes.values()]
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @staticmethod
    def orthogonal(g, steps=5):
        """(n, rows, columns): each matrix with its singular values moved near 1, by Newton-Schulz steps."""
        flip = g.shape[-2] > g.shape[-1]
        x = g.mT if flip else g
        x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
        for _ in range(steps):
            square = x @ x.mT
            x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=B, alpha=C), x, beta=A)
        return x.mT if flip else x

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            matrices = group["params"]
            g = torch.stack([m.grad for m in matrices])
            mean = self.state[matrices[0]].setdefault("mean", torch.zeros_like(g))
            mean.lerp_(g, 1 - group["momentum"])
            turn = self.orthogonal(g.lerp(mean, group["momentum"]))
            size = group["lr"] * 0.2 * max(g.shape[1:]) ** 0.5
            for m, t in zip(matrices, turn):
                m.mul_(1 - group["lr"] * group["weight_decay"]).sub_(t, alpha=size)
