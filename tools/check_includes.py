"""Holds every #include to the folders of tools/folders.txt, and the table of docs/design.md to the same list.

  check_includes.py [--fix] ROOT FILE...   FILEs are relative to ROOT; --fix rewrites the table instead of complaining
"""
import pathlib
import re
import sys

PROGRAMS = ("server", "worker", "client")
INCLUDE = re.compile(r'^ *# *include *([<"])([^">]+)[">]')
TABLE = re.compile(r"(<!-- folders -->\n).*?(<!-- /folders -->)", re.DOTALL)

# What a part of the tree must not see, as prefixes of included paths.
TORCH = ("torch/", "ATen/", "c10/")
GRPC = ("grpc/", "grpcpp/")
SERVICE = GRPC + ("google/protobuf/", "spdlog/", "tessera/")
FORBIDDEN = [  # parts, prefixes, why
    (("server/", "client/", "common/"), TORCH, "server, client and common know no torch"),
    (("common/",), ("grpc/", "grpcpp/"), "common makes no gRPC calls"),
    (("worker/",), SERVICE, "the engine knows no gRPC, protobuf or spdlog"),
    (("",), ("torch/torch.h",), "<torch/torch.h> costs 44 s a file; <ATen/ATen.h> serves"),
]
MAY_SEE_SERVICE = ("worker/link/", "worker/main.cc")  # of worker/


def read_folders(root):
    rows = [line.split("|", 1) for line in (root / "tools/folders.txt").read_text().splitlines()
            if line.strip() and not line.startswith("#")]
    return [(folder.strip(), what.strip()) for folder, what in rows]


def folder_of(path, order):
    """The listed folder that holds `path`: the longest one."""
    parent = str(pathlib.PurePosixPath(path).parent)
    while parent not in order:
        if parent == ".":
            return None
        parent = str(pathlib.PurePosixPath(parent).parent)
    return parent


def faults_of(path, target, quoted, order):
    """What is wrong with an #include of `target` in `path`, in words."""
    for parts, prefixes, why in FORBIDDEN:
        exempt = prefixes is SERVICE and path.startswith(MAY_SEE_SERVICE)
        if path.startswith(parts) and target.startswith(prefixes) and not exempt:
            yield why
    program, other = path.split("/")[0], target.split("/")[0]
    if not quoted or other not in PROGRAMS + ("common", "tests"):
        return
    if program in PROGRAMS + ("common",) and other in PROGRAMS + ("tests",) and other != program:
        yield f"{program} never includes {other}"
        return
    here, there = folder_of(path, order), folder_of(target, order)
    if program != "tests" and here is not None and there is not None and order[there] > order[here]:
        yield f"points up: {there} is above {here} in tools/folders.txt"


def check_includes(root, files, order):
    faults = []
    for path in files:
        if path.split("/")[0] in PROGRAMS + ("common",) and folder_of(path, order) is None:
            faults.append(f"{path}: its folder is not in tools/folders.txt")
        for number, line in enumerate((root / path).read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if match:
                faults += [f"{path}:{number}: {match[2]}: {why}"
                           for why in faults_of(path, match[2], match[1] == '"', order)]
    return faults


def check_table(root, folders, fix):
    """The table of docs/design.md is the list."""
    page = root / "docs/design.md"
    if not page.exists():
        return []
    text = page.read_text()
    rows = "".join(f"| `{folder}/` | {what} |\n" for folder, what in folders)
    table = "| folder | what lives there |\n|---|---|\n" + rows
    wanted = TABLE.sub(lambda match: match[1] + table + match[2], text)
    if "<!-- folders -->" not in text:
        return ["docs/design.md: has no <!-- folders --> ... <!-- /folders -->"]
    if wanted == text:
        return []
    if fix:
        page.write_text(wanted)
        return []
    return ["docs/design.md: its table differs from tools/folders.txt (tools/lint --fix mends it)"]


def main(arguments):
    fix = "--fix" in arguments
    root, *files = [argument for argument in arguments if argument != "--fix"]
    root = pathlib.Path(root)
    folders = read_folders(root)
    order = {folder: place for place, (folder, _) in enumerate(folders)}
    faults = check_includes(root, files, order) + check_table(root, folders, fix)
    for fault in faults:
        print(f"  {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
