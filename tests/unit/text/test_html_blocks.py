"""HTML becomes blocks of plain text, with lists, quotations, line breaks and links told apart."""

from mailer.text.html_blocks import TextBlock, TextRun, read_blocks


def test_blocks_tell_where_they_stand() -> None:
    html = (
        "<h2>Fair</h2>on<ol><li>one<li>two<ul><li>red</ul></ol><blockquote><p>yes</blockquote><hr>"
    )
    assert [
        (block.tag, [[run.text for run in line] for line in block.lines], block.bullet, block.lists,
         block.quotations)
        for block in read_blocks(html)
    ] == [
        ("h2", [["Fair"]], "", 0, 0),
        ("", [["on"]], "", 0, 0),
        ("li", [["one"]], "1. ", 1, 0),
        ("li", [["two"]], "2. ", 1, 0),
        ("li", [["red"]], "- ", 2, 0),
        ("p", [["yes"]], "", 0, 1),
        ("hr", [[]], "", 0, 0),
    ]  # fmt: skip


def test_links_and_breaks() -> None:
    html = 'See\n <a href="/a">th<b>is</b></a>,<br>and <a>that</a>.<script>x</script>'
    [block] = read_blocks(html)
    assert block == TextBlock(
        tag="",
        lines=[
            [TextRun("See ", None), TextRun("this", "/a"), TextRun(",", None)],
            [TextRun("and ", None), TextRun("that", ""), TextRun(".", None)],
        ],
        bullet="",
        lists=0,
        quotations=0,
    )


def test_what_says_nothing_is_left_out() -> None:
    assert read_blocks("<p> </p><ul><li></li></ul></blockquote></ol><br>") == []
