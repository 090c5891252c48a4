"""What was trained, into the package: ONNX layers with int8 weights, what is fitted on held-out turns, checksums.

    python -m training.selector_export          the corpus's portable replies alone, after it was mended
"""

import json
from pathlib import Path

import torch
import yaml

from esc_robot.dialogue.encoder import DATA
from training.acts import fit_confidence, fit_head, labelled_turns
from training.datasets import corpus, sha256, split
from training.selector_data import act_replies
from training.selector_model import Layers, Trainee


def export(out: Path) -> None:
    """What was trained, into the package: layers as ONNX with int8 weights (a scale a column; computed in float32), and
    beside them acts, what is fitted on held-out turns, checksums, and the portable replies of training."""
    DATA.mkdir(exist_ok=True)
    entries = {"dual": export_dual(out), "check": export_check(out)}
    (DATA / "encoders.yaml").write_text(yaml.safe_dump(entries, sort_keys=False, width=110))
    print(entries, f"{export_replies()} replies")


def export_replies() -> int:
    """Writes replies.jsonl, the portable replies of training with the turns that they answer; their number."""
    rows = {}
    for dialogue in split(corpus())["train"]:
        for asked, reply in zip(dialogue.turns[::2], dialogue.turns[1::2], strict=True):
            if reply.portable:
                rows[asked.text, reply.text] = {"turn": asked.text, "reply": reply.text, "strategy": reply.strategy}
    lines = [json.dumps(row, ensure_ascii=False) for row in rows.values()]
    (DATA / "replies.jsonl").write_text("\n".join(lines) + "\n")
    return len(lines)


def export_dual(out: Path) -> dict:
    """Writes dual.onnx; the head is fitted again on the finished layers. What encoders.yaml holds of it."""
    names = list(act_replies())
    model = Trainee(len(names))
    model.load(out / "dual.pt")
    turns, held = labelled_turns()
    weights, biases = fit_head(model.all([turn.text for turn in turns])[0].numpy(), names, turns)
    model.layers.head.load_state_dict({"weight": torch.tensor(weights), "bias": torch.tensor(biases)})
    fitted = fit_confidence(model.all([turn.text for turn in held])[1].numpy(), names, held)
    return {"sha256": _write_onnx(model.layers, "dual", ["vector", "acts"])} | fitted | {"acts": names}


def export_check(out: Path) -> dict:
    """Writes check.onnx; what encoders.yaml holds of it."""
    model = Trainee()
    model.load(out / "check.pt")
    return {"sha256": _write_onnx(model.layers, "check", ["score"])}


def _write_onnx(layers: Layers, name: str, outputs: list[str]) -> str:
    import onnx  # only this step needs it and onnxscript; the robot does not
    from onnx import helper, numpy_helper
    layers.eval()
    example = torch.randn(2, 9, 384), torch.ones(2, 9, dtype=torch.long), torch.zeros(2, 9, dtype=torch.long)
    rows, tokens = torch.export.Dim("n"), torch.export.Dim("t", max=512)
    program = torch.onnx.export(layers, example, input_names=["vectors", "mask", "segments"], output_names=outputs,
                                dynamic_shapes=({0: rows, 1: tokens},) * 3, dynamo=True, verbose=False)
    proto = program.model_proto
    graph = proto.graph
    for tensor in list(graph.initializer):
        weight = numpy_helper.to_array(tensor)
        if weight.ndim != 2 or weight.size < 100_000:
            continue
        scale = (abs(weight).max(0) / 127).astype("float32")
        graph.initializer.remove(tensor)
        graph.initializer.extend([numpy_helper.from_array((weight / scale).round().astype("int8"), f"{tensor.name}_8"),
                                  numpy_helper.from_array(scale, f"{tensor.name}_scale")])
        graph.node.insert(0, helper.make_node("DequantizeLinear", [f"{tensor.name}_8", f"{tensor.name}_scale"],
                                              [tensor.name], axis=1))
    onnx.save(proto, DATA / f"{name}.onnx")
    return sha256(DATA / f"{name}.onnx")


if __name__ == "__main__":
    print(export_replies(), "replies")
