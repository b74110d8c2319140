"""Style of .proto files, after buf's STANDARD rules and the protobuf style guide. Prints `file:line: what` for each breach.

Usage: proto_style.py FILE...
Checked: package matches folder and ends in a version; service, message, enum and field names; enum values start with the
enum's name, the first is <NAME>_UNSPECIFIED = 0; requests and responses are named after their call; services, calls,
messages and enums of the public package are commented; lines of at most 80 columns. Syntax is protoc's business.
"""

import pathlib
import re
import sys

TITLE = re.compile(r"[A-Z][A-Za-z0-9]*$")
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*$")
FIELD = re.compile(r"(?:optional |repeated )?[\w.<>, ]+? (\w+) = \d+\s*(?:\[.*)?;")


def constant_case(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()


def breaches_of_call(name, request, response):
    plain = re.sub(r"^Stream(?=[A-Z])", "", name)  # a streaming form shares its request with the unary call
    if request not in (name + "Request", plain + "Request"):
        yield f"{name} should take {name}Request"
    if response != name + "Response":
        yield f"{name} should answer {name}Response"


def breaches(path):
    text = path.read_text()
    lines = text.splitlines()
    package = re.search(r"^package ([\w.]+);", text, re.M)
    name = package.group(1) if package else ""
    public = ".internal." not in name
    if not re.search(r"\.v\d+$", name) or not str(path.parent).endswith(name.replace(".", "/")):
        yield 1, f"package '{name}' should match the folder and end in a version"
    blocks = []
    for number, line in enumerate(lines, 1):
        code = line.split("//")[0].strip()
        commented = number > 1 and lines[number - 2].strip().startswith("//")
        if len(line) > 80:
            yield number, "longer than 80 columns"
        opening = re.match(r"(service|message|enum|oneof) (\w+) \{", code)
        if opening:
            kind, block = opening.groups()
            good = SNAKE.match(block) if kind == "oneof" else TITLE.match(block)
            if not good:
                yield number, f"{kind} name {block}"
            if kind == "service" and public and not block.endswith("Service"):
                yield number, f"service {block} should end in Service"
            internal_end = kind in ("message", "oneof") and re.search(r"(Request|Response)$", block)
            if public and kind != "oneof" and not commented and not internal_end:
                yield number, f"{kind} {block} has no comment"
            if not code.endswith("}"):
                blocks.append((kind, block))
            continue
        call = re.match(r"rpc (\w+)\((?:stream )?(\w+)\)", code)
        if call:
            statement = " ".join(lines[number - 1 : number + 1])
            response = re.search(r"returns \((?:stream )?(\w+)\)", statement)
            for what in breaches_of_call(call[1], call[2], response[1] if response else ""):
                yield number, what
            if not commented:
                yield number, f"call {call[1]} has no comment"
            if code.endswith("{"):
                blocks.append(("rpc", call[1]))
            continue
        if code == "}" and blocks:
            blocks.pop()
        elif blocks and blocks[-1][0] == "enum":
            value = re.match(r"(\w+) = (-?\d+)", code)
            prefix = constant_case(blocks[-1][1]) + "_"
            if value and not value[1].startswith(prefix):
                yield number, f"enum value {value[1]} should start with {prefix}"
            if value and value[2] == "0" and value[1] != prefix + "UNSPECIFIED":
                yield number, f"the zero value should be {prefix}UNSPECIFIED"
        elif blocks and blocks[-1][0] in ("message", "oneof"):
            field = FIELD.match(code)
            if field and not SNAKE.match(field[1]):
                yield number, f"field name {field[1]}"


def main():
    count = 0
    for name in sys.argv[1:]:
        for number, what in breaches(pathlib.Path(name)):
            print(f"{name}:{number}: {what}", file=sys.stderr)
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
