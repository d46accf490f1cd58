"""Linear layers in 8-bit whole numbers for encoders on a CPU: about twice as fast as float32, more where VNNI is.

Each row of the input and each output of the layer has its own scale (vector-wise quantisation, LLM.int8(), arXiv
2208.07339). The scale of a row is found when it passes, so a text's vector does not hang on the texts beside it, as
it does with torch's own dynamic layers, which have one scale for a whole batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_ROW = 127  # the largest value of a row, as an unsigned byte around _ZERO
_ZERO = 128
# Weights take 7 bits: AVX2 adds two products in 16 bits, in which 2 * 255 * 127 has no room and 2 * 255 * 63 has.
_WEIGHT = 63
_TINY = 1e-12  # a row of zeros has some scale


class Int8Linear(nn.Module):
    """A linear layer that multiplies whole numbers and gives float32."""

    def __init__(self, linear: nn.Linear) -> None:
        """Takes over what `linear` computes; it is on the CPU, in float32."""
        super().__init__()
        weight = linear.weight.detach()  # (outputs, inputs)
        self._outputs = len(weight)
        self._scales = (weight.abs().amax(1) / _WEIGHT).clamp_min(_TINY)
        whole = (weight / self._scales[:, None]).round().to(torch.int8)
        self._weight = torch.ops.onednn.qlinear_prepack(whole, None)
        self._zeros = torch.zeros(self._outputs, dtype=torch.long)
        bias: Tensor | None = linear.bias  # which torch declares as never None
        self._bias = torch.zeros(self._outputs) if bias is None else bias.detach()

    def forward(self, values: Tensor) -> Tensor:
        """(…, inputs) to (…, outputs)."""
        rows = values.reshape(-1, values.shape[-1])
        scales = (rows.abs().amax(1, keepdim=True) / _ROW).clamp_min_(_TINY)  # (rows, 1)
        whole = torch.mul(rows, 1 / scales).add_(_ZERO + 0.5).to(torch.uint8)  # cut off, so 0.5 more rounds
        products: Tensor = torch.ops.onednn.qlinear_pointwise(
            whole, 1.0, _ZERO, self._weight, self._scales, self._zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        return torch.addcmul(self._bias, products, scales).view(*values.shape[:-1], self._outputs)


def to_int8(model: nn.Module) -> None:
    """Replace all linear layers, in place. Layers that compute something else stay in float32."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                setattr(parent, name, Int8Linear(child))
