# SPDX-License-Identifier: Apache-2.0
"""comments.py HEADER: the header with its plain comments as Doxygen wants them (doc/Doxyfile).

The headers' habits: the first comment after the licence is about the file; a comment before a declaration is about it and about those that
follow without a blank line or a comment of their own; a comment behind code is about what stands before it on the line.
"""
import re
import sys


def blocks(lines):
    """Lines, but each comment that begins a line as one item with all of its lines."""
    i = 0
    while i < len(lines):
        end = i
        if lines[i].lstrip().startswith("/*"):
            while "*/" not in lines[end]:
                end += 1
        yield "\n".join(lines[i : end + 1])
        i = end + 1


def members(line, comment):
    """`int a, b[3]; /* c */` as one member a line, each with the comment."""
    match = re.fullmatch(r"(\s*(?:const )?[\w]+ \**)([\w\[\]]+(?:, \**[\w\[\]]+)+);", line)
    if not match:
        return f"{line} {comment}"
    return "\n".join(f"{match.group(1)}{name}; {comment}" for name in match.group(2).split(", "))


def converted(text):
    about, fresh, file_seen, inside = "", False, False, False  # about: the comment that a further declaration shares; fresh: none has it yet
    for block in blocks(text.splitlines()):
        code, star, comment = block.partition("/*")
        if star and not code.strip():
            if "SPDX" not in block:
                block = block.replace("/*", "/**" if file_seen else "/** @file\n *", 1)
                about, fresh, file_seen = (block if file_seen and not inside else about), True, True
            yield block
            continue
        if not inside and about and not fresh and re.match("TARE_API|typedef", block):
            yield about
        if not code.strip():
            about = ""
        yield members(code.rstrip(), "/**<" + comment) if star else block
        fresh = False
        inside = (inside or "{" in code and not code.startswith("extern")) and "}" not in code


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        print(re.sub(r"@(?!file\b)", r"\\@", "\n".join(converted(file.read()))))
