"""Puts a section's table where a page quotes it, so that pages and results cannot differ.

    <!-- results: kernels -->
    …replaced by the section's text…
    <!-- end of results -->
"""
import re

PATTERN = re.compile(r"(<!-- results: (\w+) -->\n).*?(<!-- end of results -->)", re.DOTALL)


def update(page, texts):
    """Replaces what the page quotes of `texts`, by section; other quotations stay. True if the page has changed."""
    old = page.read_text()

    def replaced(match):
        opening, name, end = match.groups()
        return f"{opening}{texts[name].strip()}\n{end}" if name in texts else match.group(0)

    new = PATTERN.sub(replaced, old)
    if new != old:
        page.write_text(new)
    return new != old
