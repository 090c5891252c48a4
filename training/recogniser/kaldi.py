"""The network in Kaldi's binary form (am/final.mdl): a transition model and an nnet3 network.

Each phone has two states, its own output and then blank, so that a path through the graph is a CTC path while libvosk
finds word times and trailing silence as in any model of its own.
"""

import math
import struct

import numpy as np

from training.recogniser.network import CONTEXT, LAYERS, Checkpoint
from training.recogniser.phones import last_kaldi_phone, network_output

#: Taken off the blank's score: the network is surer of blanks than the search likes.
BLANK_PENALTY = 0.5
TRANSITIONS = ((0.5, 0.25, 0.25), (0.5, 0.5))       # own state: stay, to blank, out; blank: stay, out


def final_mdl(checkpoint: Checkpoint) -> bytes:
    return b"\0B" + _transition_model() + _network(checkpoint)


def _token(name: str) -> bytes:
    return name.encode() + b" "


def _integer(value: int) -> bytes:
    return b"\4" + struct.pack("<i", value)


def _real(value: float) -> bytes:
    return b"\4" + struct.pack("<f", value)


def _double(value: float) -> bytes:
    return b"\x08" + struct.pack("<d", value)


def _integers(values) -> bytes:
    values = np.array(list(values), "<i4")
    return _integer(len(values)) + values.tobytes()


def _vector(values) -> bytes:
    return b"FV " + _integer(len(values)) + np.asarray(values, "<f4").tobytes()


def _matrix(values: np.ndarray) -> bytes:
    return b"FM " + _integer(values.shape[0]) + _integer(values.shape[1]) + np.asarray(values, "<f4").tobytes()


def _transition_model() -> bytes:
    count = last_kaldi_phone()
    out = _token("<TransitionModel>") + _token("<Topology>")
    out += _integers(range(1, count + 1)) + _integers([-1] + [0] * count) + _integer(1) + _integer(3)
    targets = ((0, 1, 2), (1, 2))
    for state, (probabilities, to) in enumerate(zip(TRANSITIONS, targets, strict=True)):
        out += _integer(state) + _integer(len(to))
        out += b"".join(_integer(t) + _real(p) for t, p in zip(to, probabilities, strict=True))
    out += _integer(-1) + _integer(0) + _token("</Topology>") + _token("<Triples>") + _integer(2 * count)
    for phone in range(1, count + 1):
        out += _integer(phone) + _integer(0) + _integer(network_output(phone))
        out += _integer(phone) + _integer(1) + _integer(0)
    logs = [0.0] + [math.log(p) for _ in range(count) for state in TRANSITIONS for p in state]
    return (out + _token("</Triples>") + _token("<LogProbs>") + _vector(logs) + _token("</LogProbs>")
            + _token("</TransitionModel>"))


def _network(checkpoint: Checkpoint) -> bytes:
    """Input scaling and batch normalisation are folded into the affine layer that follows them."""
    state = {key: value.numpy().astype(np.float64) for key, value in checkpoint["state"].items() if value.ndim}
    lines, parts, source = ["input-node name=input dim=40"], [], "input"
    scale, shift = 1 / checkpoint["std"], -checkpoint["mean"] / checkpoint["std"]
    step = 1
    for number, (_, _, kernel, stride, dilation) in enumerate(LAYERS):
        name = f"tdnn{number + 1}"
        spacing = step * dilation
        offsets = [(tap - kernel // 2) * spacing for tap in range(kernel)]
        step *= stride
        parts.append(_affine(name, *_folded(state, f"conv.{number}", scale, shift)))
        lines.append(_affine_line(name, source, offsets))
        source = f"{name}.relu"
        lines.append(f"component-node name={source} component={source} input={name}.affine")
        parts.append((source, _relu(len(state[f"conv.{number}.bias"]))))
        gamma, beta, mean, variance = (state[f"norm.{number}.{part}"]
                                       for part in ("weight", "bias", "running_mean", "running_var"))
        scale = gamma / np.sqrt(variance + 1e-5)
        shift = beta - mean * scale
    weight, bias = _folded(state, "out", scale, shift)
    bias[0] -= BLANK_PENALTY
    parts.append(_affine("output", weight, bias))
    lines += [_affine_line("output", source, [0]), "output-node name=output input=output.affine objective=linear"]
    out = b"<Nnet3> \n" + "\n".join(lines).encode() + b"\n\n" + _token("<NumComponents>") + _integer(len(parts))
    out += b"".join(_token("<ComponentName>") + _token(name) + body for name, body in parts) + _token("</Nnet3>")
    contexts = _token("<LeftContext>") + _integer(CONTEXT) + _token("<RightContext>") + _integer(CONTEXT)
    return out + contexts + _token("<Priors>") + _vector([])


def _folded(state: dict, key: str, scale: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """weight [out, in * taps], bias [out] for an input that is not yet scaled and shifted."""
    weight = state[f"{key}.weight"]
    bias = state[f"{key}.bias"] + (weight * shift[None, :, None]).sum((1, 2))
    return np.concatenate(np.moveaxis(weight * scale[None, :, None], 2, 0), 1), bias


def _affine(name: str, weight: np.ndarray, bias: np.ndarray) -> tuple[str, bytes]:
    return f"{name}.affine", (_token("<FixedAffineComponent>") + _token("<LinearParams>") + _matrix(weight)
                              + _token("<BiasParams>") + _vector(bias) + _token("</FixedAffineComponent>"))


def _affine_line(name: str, source: str, offsets: list[int]) -> str:
    frames = [source if offset == 0 else f"Offset({source}, {offset})" for offset in offsets]
    joined = f"Append({', '.join(frames)})" if len(frames) > 1 else frames[0]
    return f"component-node name={name}.affine component={name}.affine input={joined}"


def _relu(dimension: int) -> bytes:
    return (_token("<RectifiedLinearComponent>") + _token("<Dim>") + _integer(dimension)
            + _token("<ValueAvg>") + _vector([]) + _token("<DerivAvg>") + _vector([]) + _token("<Count>") + _double(0)
            + _token("<NumDimsSelfRepaired>") + _double(0) + _token("<NumDimsProcessed>") + _double(0)
            + _token("</RectifiedLinearComponent>"))
