"""Tokenizers trained on captions and ordinary English, and captions as token ids.

Both tokenizers cut at spaces, so that the ids of a caption are those of its words in a row. The
trainer needs only the table of words, none of the tokenizers' libraries.
"""

import json
import pydoc_data.topics
import random
from pathlib import Path

from captions import caption
from scenes import held_out_scene, training_scene

T5_PIECES = 1024
CLIP_TOKENS = 1100
START, END = "<|startoftext|>", "<|endoftext|>"
CLIP_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def _captions(count):
    rng = random.Random(5)
    return [caption(rng, (held_out_scene if i % 4 == 0 else training_scene)(rng))
            for i in range(count)]


def _english(count):
    lines = (line.strip() for text in pydoc_data.topics.topics.values()
             for line in text.splitlines())
    return [line for line in lines if len(line) > 20][:count]


def train_tokenizers(folder):
    """Writes spiece.model, vocab.json and merges.txt (the checkpoint's) and words.json."""
    import sentencepiece
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    captions = _captions(20000)
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(3 * captions + _english(3000)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(folder / "spiece"), vocab_size=T5_PIECES,
        model_type="unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1, pad_piece="<pad>",
        eos_piece="</s>", unk_piece="<unk>", character_coverage=1.0,
        normalization_rule_name="nmt_nfkc", minloglevel=2)
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    bpe.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    bpe.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(CLIP_WORDS), "removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe.train([str(corpus)], trainers.BpeTrainer(
        vocab_size=CLIP_TOKENS, initial_alphabet=alphabet, end_of_word_suffix="</w>",
        show_progress=False))
    merges = [m if isinstance(m, str) else " ".join(m)
              for m in json.loads(bpe.to_str())["model"]["merges"]]
    tokens = dict.fromkeys(alphabet + [c + "</w>" for c in alphabet]
                           + [m.replace(" ", "") for m in merges] + [START, END])
    vocabulary = {token: i for i, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    pieces = sentencepiece.SentencePieceProcessor(str(folder / "spiece.model"))
    words = sorted({word for text in captions for word in text.split(" ")})
    table = {
        "t5": {word: pieces.encode(word) for word in words},
        "clip": {word: [vocabulary[t] for t in bpe.encode(word).tokens] for word in words},
        "t5_pieces": [pieces.id_to_piece(i) for i in range(pieces.get_piece_size())],
        "clip_tokens": list(vocabulary), "clip_ends": [vocabulary[START], vocabulary[END]]}
    (folder / "words.json").write_text(json.dumps(table))


class Vocabulary:
    """Captions as ids, by the table that train_tokenizers wrote."""

    def __init__(self, folder):
        table = json.loads((Path(folder) / "words.json").read_text())
        self.t5, self.clip = table["t5"], table["clip"]
        self.t5_pieces, self.clip_tokens = table["t5_pieces"], table["clip_tokens"]
        self.start, self.end = table["clip_ends"]

    def ids(self, captions, length):
        """T5's ids [B][length], then CLIP's [B][length + 4], which are cut short of 77."""
        t5, clip = [], []
        for text in captions:
            words = text.split(" ") if text else []
            row = [i for word in words for i in self.t5[word]][:length - 1] + [1]
            t5.append(row + [0] * (length - len(row)))
            row = [self.start] + [i for word in words for i in self.clip[word]][:length + 2]
            clip.append(row + [self.end] * (length + 4 - len(row)))
        return t5, clip
