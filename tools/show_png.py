"""Shows a PNG in the terminal: two pixels a character in 24-bit colour, or shades of grey where stdout is no terminal.

Usage: show_png.py FILE [COLUMNS]
Reads what Tessera writes: 8-bit RGB, not interlaced. Needs only Python's own library.
"""

import os
import struct
import sys
import zlib

SHADES = " .:-=+*#%@"


def read_png(data):
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("not a PNG")
    position, packed = 8, b""
    while position < len(data):
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        body = data[position + 8 : position + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", body)
            if (depth, colour, interlace) != (8, 2, 0):
                raise ValueError("not an 8-bit RGB PNG without interlacing")
        elif kind == b"IDAT":
            packed += body
        position += 12 + length
    return width, height, unfilter(zlib.decompress(packed), width * 3, height)


def paeth(a, b, c):
    p = a + b - c
    distances = (abs(p - a), abs(p - b), abs(p - c))
    return (a, b, c)[distances.index(min(distances))]


def unfilter(raw, stride, height):
    rows, above = [], bytearray(stride)
    for y in range(height):
        kind = raw[y * (stride + 1)]
        row = bytearray(raw[y * (stride + 1) + 1 : (y + 1) * (stride + 1)])
        for x in range(stride):
            left = row[x - 3] if x >= 3 else 0
            corner = above[x - 3] if x >= 3 else 0
            guess = (0, left, above[x], (left + above[x]) // 2, 0)[kind] if kind < 4 else paeth(left, above[x], corner)
            row[x] = (row[x] + guess) & 255
        rows.append(row)
        above = row
    return rows


def scaled(width, height, rows, columns):
    """The mean of each box of pixels; `lines` is even."""
    lines = max(2, round(height * columns / width / 2) * 2)
    picture = []
    for y in range(lines):
        band = rows[y * height // lines : max((y + 1) * height // lines, y * height // lines + 1)]
        line = []
        for x in range(columns):
            start, end = x * width // columns, max((x + 1) * width // columns, x * width // columns + 1)
            count = len(band) * (end - start)
            line.append(tuple(sum(sum(row[start * 3 + c : end * 3 : 3]) for row in band) // count for c in range(3)))
        picture.append(line)
    return picture


def main():
    with open(sys.argv[1], "rb") as file:
        width, height, rows = read_png(file.read())
    terminal = sys.stdout.isatty()
    room = os.get_terminal_size().columns if terminal else 80
    columns = min(int(sys.argv[2]) if len(sys.argv) > 2 else 64, width, room)
    picture = scaled(width, height, rows, columns)
    for upper, lower in zip(picture[::2], picture[1::2]):
        if terminal:
            cells = ("\x1b[38;2;%d;%d;%dm\x1b[48;2;%d;%d;%dm▀" % (a + b) for a, b in zip(upper, lower))
            print("".join(cells) + "\x1b[0m")
        else:
            print("".join(SHADES[(sum(a) + sum(b)) * len(SHADES) // (6 * 256)] for a, b in zip(upper, lower)))


if __name__ == "__main__":
    main()
