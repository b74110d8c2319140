"""Holds the documents to the tree: links lead somewhere, named files exist, and sentences can be read once.

  check_docs.py ROOT FILE...   FILEs are all files of the tree, relative to ROOT
"""
import pathlib
import posixpath
import re
import sys

MAX_WORDS = 35  # of a sentence
PROSE = re.compile(r"(README|docs/[^/]+|deploy/README|models/[^/]+/README)\.md")  # whose sentences are counted
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
NAMED = re.compile(r"(?<![<\w./{*-])([\w-]+(?:/[\w.-]+)*\.(?:h|cc|cu|cuh|md|proto|py|cmake))\b(?![\w/(*.])")
SOURCE = (".h", ".cc", ".cu", ".cuh", ".md", ".proto")  # a file of such a name is meant to be ours
GENERATED = (".pb.h", ".pb.cc")
OTHERS = ("nccl.h", "cublasLt.h", "sentencepiece_model.proto")  # of libraries


def anchors(text):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(root, path, text, tree):
    for target, anchor in LINK.findall(text):
        if re.match(r"\w+:", target):
            continue
        page = posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) if target else path
        if page not in tree and not any(file.startswith(page + "/") for file in tree):
            yield f"links to {target}, which is not there"
        elif anchor and anchor not in anchors((root / page).read_text()):
            yield f"links to {target}#{anchor}, and the page has no such heading"


def dead_names(text, tree, endings):
    """Files named in `text`: by their path from the root, or by the end of it. OP stands for any operation."""
    folders = {posixpath.dirname(file) for file in tree}
    for name in NAMED.findall(text):
        ours = name.endswith(SOURCE) or posixpath.dirname(name) in folders - {""}
        ours = ours and not name.endswith(GENERATED) and name not in OTHERS and not name.startswith("OP")
        if ours and name not in endings:
            yield f"names {name}, which is not there"


def comments(text):
    return "\n".join(re.findall(r"//(.*)$", text, re.MULTILINE))


def sentences(text):
    """The sentences of a page: of its paragraphs, list items and table cells."""
    text = re.sub(r"^```.*?^```|^ {4,}\S.*?$|<!--.*?-->", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"^\|[-| ]+\|$", "", text, flags=re.MULTILINE)
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )|\n(?=\|)|\n(?=#)", text):
        for part in block.split("|"):
            yield from re.split(r"(?<=[.!?])[\")*]*\s+", " ".join(part.split()))


def long_sentences(text):
    for sentence in sentences(text):
        words = [word for word in sentence.split() if re.search(r"\w", word)]
        if len(words) > MAX_WORDS:
            yield f"a sentence of {len(words)} words: {' '.join(words[:8])} ..."


def faults(root, files):
    tree = set(files)
    endings = {"/".join(parts[i:]) for parts in (file.split("/") for file in files) for i in range(len(parts))}
    for path in files:
        if path.endswith(".md"):
            text = (root / path).read_text()
            found = [*dead_links(root, path, text, tree), *dead_names(LINK.sub("]", text), tree, endings)]
            found += long_sentences(text) if PROSE.fullmatch(path) else []
        elif path.endswith(".h"):
            found = dead_names(comments((root / path).read_text()), tree, endings)
        else:
            continue
        for fault in found:
            yield f"{path}: {fault}"


def main(arguments):
    root, *files = arguments
    found = list(faults(pathlib.Path(root), files))
    for fault in found:
        print(f"  {fault}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
