"""Train the phone network, a time-delay network with CTC and one output each 30 ms, on the features of speech.py.

    python -m training.recogniser.network [--features FOLDER] [--out network.pt] [--epochs 10]

21 hours of speech, 10 epochs: 20 minutes on four cores.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from esc_robot.errors import Problem

COEFFICIENTS, OUTPUTS = 40, 41      # MFCC in; blank, silence and 39 phones out
#: in, out, kernel, stride, dilation; after the second layer a frame is 30 ms.
LAYERS = ((40, 192, 5, 1, 1), (192, 256, 3, 3, 1), (256, 256, 3, 1, 1), (256, 256, 3, 1, 1), (256, 256, 3, 1, 2),
          (256, 256, 3, 1, 2), (256, 256, 3, 1, 2))
CONTEXT = 27                        # frames of 10 ms seen to either side
BATCH_FRAMES, HELD_OUT = 40_000, 200
FEATURES, OUT = Path("runs/recogniser/features"), Path("runs/recogniser/network.pt")

#: "state": of PhoneNetwork; "mean", "std": float [40] of the features it was trained on.
Checkpoint = dict


class PhoneNetwork(nn.Module):
    """[batch, 40, frames + 2 * CONTEXT] -> scores [batch, 41, frames / 3]."""

    def __init__(self):
        super().__init__()
        self.conv = nn.ModuleList(nn.Conv1d(i, o, kernel, stride, 0, dilation)
                                  for i, o, kernel, stride, dilation in LAYERS)
        self.norm = nn.ModuleList(nn.BatchNorm1d(layer[1]) for layer in LAYERS)
        self.out, self.drop = nn.Conv1d(LAYERS[-1][1], OUTPUTS, 1), nn.Dropout(0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for conv, norm in zip(self.conv, self.norm, strict=True):
            x = self.drop(norm(torch.relu(conv(x))))
        return self.out(x)


def load(path: Path) -> Checkpoint:
    """A trained network. Raises Problem when there is none."""
    if not path.is_file():
        raise Problem("network", path, "does not exist; train it with: python -m training.recogniser.network")
    return torch.load(path, weights_only=False)


def batch(features: list[np.ndarray], training: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """([batch, 40, frames], outputs of each); ends repeated for context; masked and shifted in training."""
    sound = torch.zeros(len(features), max(map(len, features)) + 2 * CONTEXT + 2, COEFFICIENTS)
    for row, one in zip(sound, map(torch.from_numpy, features), strict=True):
        row[:CONTEXT], row[CONTEXT:CONTEXT + len(one)], row[CONTEXT + len(one):] = one[0], one, one[-1]
        if training:
            for _ in range(2):
                first = CONTEXT + np.random.randint(0, max(1, len(one) - 20))
                row[first:first + np.random.randint(0, 20)] = 0
            row += torch.randn(COEFFICIENTS) * 0.15
    return sound.transpose(1, 2), torch.tensor([(len(one) + 2) // 3 for one in features])


def train(folder: Path, out: Path, epochs: int) -> None:
    features, labels = _read(folder)
    some = np.concatenate(features[:500])
    mean, std = some.mean(0), some.std(0)
    features = [(one - mean) / std for one in features]
    order = np.random.default_rng(0).permutation(len(features))
    held_out, groups = order[:HELD_OUT], _groups(order[HELD_OUT:], features)
    network, ctc = PhoneNetwork(), nn.CTCLoss(zero_infinity=True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-3)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, epochs * len(groups), pct_start=0.15)

    def loss_of(ids, training: bool) -> torch.Tensor:
        sound, frames = batch([features[i] for i in ids], training)
        scores = network(sound).log_softmax(1).permute(2, 0, 1)
        wanted = torch.from_numpy(np.concatenate([labels[i] for i in ids]).astype(np.int64))
        lengths = torch.tensor([len(labels[i]) for i in ids])
        return ctc(scores, wanted, frames.clamp(max=len(scores)), lengths)

    began = time.monotonic()
    for epoch in range(epochs):
        network.train()
        for group in np.random.permutation(len(groups)):
            loss = loss_of(groups[group], True)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            plan.step()
        network.eval()
        with torch.no_grad():
            held = np.mean([loss_of([i], False).item() for i in held_out])
        print(f"epoch {epoch + 1}: held-out loss {held:.3f}, {time.monotonic() - began:.0f} s", flush=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"state": network.state_dict(), "mean": mean, "std": std}, out)


def _read(folder: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    features, labels = [], []
    for path in sorted(folder.glob("shard*.npz")):
        shard = np.load(path)
        features += np.split(shard["features"].astype(np.float32), np.cumsum(shard["frames"])[:-1])
        labels += np.split(shard["labels"], np.cumsum(shard["lengths"])[:-1])
    if len(features) <= HELD_OUT:
        raise Problem("features", folder, f"has {len(features)} utterances; python -m training.recogniser.speech first")
    return features, labels


def _groups(ids: np.ndarray, features: list[np.ndarray]) -> list[list[int]]:
    """Utterances of like length together, about BATCH_FRAMES a batch."""
    groups, group = [], []
    for i in sorted(ids, key=lambda i: len(features[i])):
        group.append(i)
        if len(group) * len(features[i]) > BATCH_FRAMES:
            groups, group = [*groups, group], []
    return [*groups, group] if group else groups


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=Path, default=FEATURES)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--epochs", type=int, default=10)
    given = parser.parse_args(arguments)
    try:
        train(given.features, given.out, given.epochs)
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
