"""Write a Vosk model folder: the trained network, and the decoding graph of the corpus's words and any more.

    python -m training.recogniser.graph [MODEL_DIR] [--add-words WORD | WORD=PHONES ...] [--network network.pt]

A word that the CMU dictionary does not have is given with its ARPAbet phones: "Aisha=AY IY SH AH". Under a minute.
"""

import argparse
import json
import math
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from esc_robot.errors import Problem
from training.datasets import CORPUS
from training.recogniser.phones import (
    KALDI_BLANK,
    KALDI_SILENCE,
    PLACES,
    SENTENCE_MARKS,
    dictionary,
    kaldi_phone,
    last_kaldi_phone,
    phones,
    places,
    tokens,
)

OUT = Path("runs/recogniser/vosk-esc-en")
NETWORK = Path(__file__).parent / "network.pt"
DISCOUNT, LEAST_PAIRS = 0.75, 2     # absolute discounting; rarer pairs are left to the single words
ADDED_COUNT = 3                     # how often a word is taken to have been said that was only added
MOST_PRONUNCIATIONS = 2
SILENCE_COST = 1.0
MFCC = ("--use-energy=false", "--num-mel-bins=40", "--num-ceps=40", "--low-freq=20", "--high-freq=-400",
        "--sample-frequency=16000", "--dither=0")
DECODING = ("--min-active=200", "--max-active=3000", "--beam=12.0", "--lattice-beam=5.0", "--acoustic-scale=1.0",
            "--frame-subsampling-factor=3", "--endpoint.silence-phones=1:2",
            "--endpoint.rule2.min-trailing-silence=0.5", "--endpoint.rule3.min-trailing-silence=0.75",
            "--endpoint.rule4.min-trailing-silence=1.0")


def sentences(folder: Path) -> Iterator[list[str]]:
    """The sentences of every dialogue that the dictionary can pronounce, as words."""
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            for turn in json.loads(line).get("turns", ()):
                sentence = []
                for word in [*tokens(turn["text"]), "."]:
                    if word not in SENTENCE_MARKS:
                        sentence.append(word)
                        continue
                    if sentence and all(known in dictionary() for known in sentence):
                        yield sentence
                    sentence = []


def added(words: list[str]) -> dict[str, list[tuple[str, ...]]]:
    """Pronunciations of the added words. Raises Problem for one that nobody can pronounce."""
    found = {}
    for entry in words:
        word, given, spelled = entry.partition("=")
        word, pronunciation = word.lower(), tuple(spelled.upper().split())
        if given and pronunciation and set(pronunciation) <= set(phones()):
            found[word] = [pronunciation]
        elif not given and word in dictionary():
            found[word] = dictionary()[word]
        else:
            raise Problem("word", entry, f"has no pronunciation; give it as WORD=PHONES of {' '.join(phones())}")
    return found


def bigram(fst, spoken: Iterator[list[str]], more: list[str]):
    """(acceptor of word ids with back-off label len(words) + 1, words in order)."""
    pairs = defaultdict(Counter)
    for sentence in spoken:
        for before, after in zip(["<s>", *sentence], [*sentence, "</s>"], strict=True):
            pairs[before][after] += 1
    counts = Counter()
    for after in pairs.values():
        counts.update(after)
    counts.update({word: ADDED_COUNT for word in more if word not in counts})
    words = sorted(set(counts) - {"</s>"})
    number, back_off = {word: i + 1 for i, word in enumerate(words)}, len(words) + 1
    total = sum(counts.values()) + 0.1 * len(counts)
    single = {word: (count + 0.1) / total for word, count in counts.items()}
    model = fst.VectorFst()
    anywhere, start = model.add_state(), model.add_state()
    model.set_start(start)
    state = {"<s>": start} | {word: model.add_state() for word in words}

    def arc(source: int, word: str, probability: float) -> None:
        if word == "</s>":
            model.set_final(source, cost(fst, probability))
        else:
            model.add_arc(source, fst.Arc(number[word], number[word], cost(fst, probability), state[word]))

    for word, probability in single.items():
        arc(anywhere, word, probability)
    for before, source in state.items():
        after, seen = pairs[before], pairs[before].total()
        kept = {word: count for word, count in after.items() if count >= LEAST_PAIRS}
        rest = (DISCOUNT * len(kept) + sum(after.values()) - sum(kept.values())) / seen if seen else 0.9
        for word, count in kept.items():
            arc(source, word, (count - DISCOUNT) / seen + DISCOUNT * len(after) / seen * single[word])
        model.add_arc(source, fst.Arc(back_off, 0, cost(fst, min(0.9, rest)), anywhere))
    return model.arcsort("ilabel"), words


def lexicon(fst, words: list[str], pronunciations: dict):
    """(phones to words, labels used to tell homophones apart); the first such label is the back-off's."""
    number, first, free = {word: i + 1 for i, word in enumerate(words)}, last_kaldi_phone() + 1, cost(fst, 1.0)
    entries = sorted({(word, one) for word in words for one in pronunciations[word][:MOST_PRONUNCIATIONS]})
    shared, used = Counter(one for _, one in entries), Counter()
    model = fst.VectorFst()
    start, loop = model.add_state(), model.add_state()
    model.set_start(start)
    model.set_final(loop, free)
    for label in (KALDI_BLANK, KALDI_SILENCE):
        model.add_arc(start, fst.Arc(label, 0, free, loop))
    model.add_arc(loop, fst.Arc(KALDI_SILENCE, 0, fst.Weight("tropical", SILENCE_COST), loop))
    for state in (start, loop):
        model.add_arc(state, fst.Arc(first, len(words) + 1, free, state))
    for word, one in entries:
        labels = places(one)
        if shared[one] > 1:
            used[one] += 1
            labels.append(first + used[one])
        at = loop
        for i, label in enumerate(labels):
            to = loop if i == len(labels) - 1 else model.add_state()
            model.add_arc(at, fst.Arc(label, 0 if i else number[word], free, to))
            at = to
    return model, max(used.values(), default=0)


def decoding_graph(fst, grammar, words_of_phones, homophones: int):
    """Transition ids in, word ids out: H o L o G, with the CTC topology of kaldi.py."""
    both = fst.determinize(fst.compose(fst.determinize(words_of_phones).arcsort("olabel"), grammar).connect())
    encoder = fst.EncodeMapper("standard", encode_labels=True, encode_weights=True)
    both.encode(encoder)
    both.minimize()
    both.decode(encoder)
    both.arcsort("ilabel")
    free, topology = cost(fst, 1.0), fst.VectorFst()
    home = topology.add_state()
    topology.set_start(home)
    topology.set_final(home, free)
    for phone in range(1, last_kaldi_phone() + 1):
        stay, to_blank, out, blank_stay, blank_out = range(5 * phone - 4, 5 * phone + 1)
        sounding, blank, last = (topology.add_state() for _ in range(3))
        for source, label, output, target in (
                (home, to_blank, phone, sounding), (sounding, stay, 0, sounding), (sounding, blank_out, 0, blank),
                (blank, blank_stay, 0, blank), (blank, 0, 0, home),
                (home, out, phone, last), (last, stay, 0, last), (last, 0, 0, home)):
            topology.add_arc(source, fst.Arc(label, output, free, target))
    for label in range(last_kaldi_phone() + 1, last_kaldi_phone() + homophones + 2):
        topology.add_arc(home, fst.Arc(0, label, free, home))
    return fst.compose(topology.arcsort("olabel"), both).connect()


def cost(fst, probability: float):
    return fst.Weight("tropical", -math.log(probability))


def write_model(out: Path, network: Path, more: list[str], corpus: Path = CORPUS) -> int:
    """The model folder `out`; how many words it knows."""
    try:
        import pywrapfst as fst
    except ImportError:
        raise Problem("package", "pynini", "is missing; pip install -r training/recogniser/requirements.txt") from None
    from training.recogniser.kaldi import final_mdl
    from training.recogniser.network import load
    pronunciations = dictionary() | added(more)
    grammar, words = bigram(fst, sentences(corpus), list(added(more)))
    graph = decoding_graph(fst, grammar, *lexicon(fst, words, pronunciations))
    for folder in ("am", "conf", "graph/phones"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    (out / "am" / "final.mdl").write_bytes(final_mdl(load(network)))
    (out / "conf" / "mfcc.conf").write_text("\n".join([*MFCC, ""]))
    (out / "conf" / "model.conf").write_text("\n".join([*DECODING, ""]))
    fst.convert(graph, "const").write(str(out / "graph" / "HCLG.fst"))
    names = ["<eps>", *words, "#0", "<s>", "</s>"]
    (out / "graph" / "words.txt").write_text("".join(f"{word} {i}\n" for i, word in enumerate(names)))
    kinds = [(KALDI_SILENCE, "nonword"), (KALDI_BLANK, "nonword")]
    kinds += [(kaldi_phone(phone, place), kind) for phone in phones() for place, kind in PLACES.items()]
    (out / "graph" / "phones" / "word_boundary.int").write_text("".join(f"{i} {kind}\n" for i, kind in kinds))
    return len(words)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, nargs="?", default=OUT)
    parser.add_argument("--add-words", nargs="+", default=[])
    parser.add_argument("--network", type=Path, default=NETWORK)
    given = parser.parse_args(arguments)
    began = time.monotonic()
    try:
        count = write_model(given.out, given.network, given.add_words)
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    print(f"{given.out}: {count} words, {time.monotonic() - began:.0f} s; use it with vosk_model:={given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
