"""AdamW (arXiv:1711.05101, algorithm 2): Adam with its bias correction.

MindSpore's nn.AdamWeightDecay leaves the correction out, so that its first step is
0.1 / sqrt(0.001) = 3.2 times as long.
"""

from mindspore import Tensor, dtype, nn, ops

__all__ = ["AdamW"]


class AdamW(nn.AdamWeightDecay):  # type: ignore[misc]
    """Updates groups of parameters as PyTorch's AdamW does, by one operation each.

    With c1 = 1 - beta1^t and c2 = 1 - beta2^t the update

        weight -= rate (mean / c1 / (sqrt(square / c2) + eps) + decay weight)

    is the operation's own, which has no c1 and c2, with the rate times
    sqrt(c2) / c1, eps times sqrt(c2), and the decay times c1 / sqrt(c2).
    """

    def construct(self, gradients: tuple[Tensor, ...]) -> bool:
        """Updates all parameters; the step counts from 1 for the first."""
        decays, rates = self.get_weight_decay(), self.get_lr()
        self.assignadd(self.global_step, self.global_step_increase_tensor)
        step = self.global_step.astype(dtype.float32)
        root = ops.sqrt(1.0 - ops.pow(self.beta2, step))  # (1,)
        factor = root / (1.0 - ops.pow(self.beta1, step))
        values = zip(  # noqa: B905 (a compiled zip has no `strict`)
            *(rates, decays, self._parameters, self.moments1, self.moments2),
            gradients,
        )
        for rate, decay, weight, mean, square, gradient in values:
            self.fused_opt(
                *(weight, mean, square, rate * factor, self.beta1, self.beta2),
                *(self.eps * root, decay / factor, gradient),
            )
        return True
