"""Draws a terminal as SVG: a session on standard input, the picture on standard output."""

import io
import sys

from rich.console import Console
from rich.text import Text

# rich's own loads a font from elsewhere, which nothing that shows a picture does.
FRAME = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" width="{width}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>TITLE</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: {char_height}px; line-height: {line_height}px }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
<rect width="{width}" height="{height}" rx="8" fill="#292929" />
<g transform="translate({terminal_x}, 16)" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""

title, width = sys.argv[1], int(sys.argv[2])
console = Console(record=True, width=width, file=io.StringIO(), color_system="truecolor", highlight=False)
for line in sys.stdin.read().splitlines():
    console.print(Text(line, style="bold" if line.startswith("$ ") else "bright_black"), soft_wrap=False)
sys.stdout.write(console.export_svg(code_format=FRAME.replace("TITLE", title), unique_id="keygate"))
