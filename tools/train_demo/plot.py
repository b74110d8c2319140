"""Small line charts as SVG."""

WIDTH, HEIGHT, MARGIN, GAP = 210, 220, 44, 18     # of a panel, pixels
COLOURS = ("#1668c4", "#8fbce8", "#c43c16", "#edb09c", "#2b8a3e", "#a5d6ad")


def _panel(title, values, curves, left, lowest, highest):
    def x(i):
        return left + 16 + (WIDTH - 32) * (i / max(1, len(values) - 1))

    def y(value):
        return MARGIN + HEIGHT * (highest - value) / (highest - lowest)

    parts = [f'<text x="{left + WIDTH / 2}" y="{MARGIN - 12}" text-anchor="middle" '
             f'font-weight="bold">{title}</text>']
    for mark in range(lowest, highest + 1, 5):
        parts.append(f'<line x1="{left}" x2="{left + WIDTH}" y1="{y(mark):.1f}" '
                     f'y2="{y(mark):.1f}" stroke="#ddd"/>')
        if left == MARGIN:
            parts.append(f'<text x="{left - 6}" y="{y(mark) + 4:.1f}" '
                         f'text-anchor="end">{mark}</text>')
    for i, value in enumerate(values):
        parts.append(f'<text x="{x(i):.1f}" y="{MARGIN + HEIGHT + 18}" '
                     f'text-anchor="middle">{value}</text>')
    for colour, curve in zip(COLOURS, curves.values()):
        points = [(f"{x(i):.1f}", f"{y(value):.1f}") for i, value in enumerate(curve)]
        parts.append(f'<polyline points="{" ".join(map(",".join, points))}" fill="none" '
                     f'stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{px}" cy="{py}" r="3" fill="{colour}"/>' for px, py in points]
    return parts


def lines(panels, unit):
    """`panels`: [(title, [value on the x axis], {curve: [y]})], all with the same curves."""
    every = [y for _, _, curves in panels for curve in curves.values() for y in curve]
    lowest, highest = int(min(every) // 5 * 5), int(-(-max(every) // 5) * 5)
    highest = max(highest, lowest + 5)
    width = MARGIN + len(panels) * (WIDTH + GAP)
    height = MARGIN + HEIGHT + 64
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
             f'font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{height}" fill="white"/>',
             f'<text x="{MARGIN - 30}" y="18">{unit}</text>']
    for i, (title, values, curves) in enumerate(panels):
        parts += _panel(title, values, curves, MARGIN + i * (WIDTH + GAP), lowest, highest)
    for i, (colour, name) in enumerate(zip(COLOURS, panels[0][2])):
        left, top = MARGIN + 150 * i, height - 14
        parts.append(f'<line x1="{left}" x2="{left + 20}" y1="{top - 4}" y2="{top - 4}" '
                     f'stroke="{colour}" stroke-width="3"/>'
                     f'<text x="{left + 26}" y="{top}">{name}</text>')
    return "\n".join(parts + ["</svg>"]) + "\n"
