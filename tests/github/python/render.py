"""Renders a file of Markdown as GitHub does; says as JSON what stands in the page."""

import json
import sys
from html.parser import HTMLParser
from pathlib import Path

import cmarkgfm
from cmarkgfm.cmark import Options

VOID = {"br", "hr", "img", "input"}


class Page(HTMLParser):
    """What a reader sees, and where it would lead them."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open = []
        self.elements = set()
        self.attributes = set()
        self.links = []
        self.comments = []
        self.code = []
        self.prose = []
        self.unbalanced = []

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.attributes.update(f"{tag} {name}" for name, _ in attrs)
        self.links.extend(value for name, value in attrs if name in ("href", "src"))
        if tag == "code":
            self.code.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        if "code" in self.open:
            self.code[-1] += data
        else:
            self.prose.append(data)

    def handle_comment(self, data):
        self.comments.append(data.strip())


html = cmarkgfm.github_flavored_markdown_to_html(
    Path(sys.argv[1]).read_text(encoding="utf-8"), options=Options.CMARK_OPT_UNSAFE
)
page = Page()
page.feed(html)
page.close()
json.dump(
    {
        "html": html,
        "elements": sorted(page.elements),
        "attributes": sorted(page.attributes),
        "links": page.links,
        "comments": page.comments,
        "code": page.code,
        "prose": " ".join(page.prose),
        "unbalanced": page.unbalanced + page.open,
    },
    sys.stdout,
)
