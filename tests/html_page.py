"""Reads pages as a browser does."""

import html.parser

VOID = {"meta", "img", "rect"}


class Page(html.parser.HTMLParser):
    """What a browser finds: tags, links to anything, text; open tags are errors."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.links, self.text, self._open = [], [], "", []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for name, v in attrs if name in ("src", "href", "data")]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] != "style":
            self.text += f"{data.strip()} "


def words(page):
    """Returns the text of a page, its words one space apart."""
    return " ".join(page.text.split())
