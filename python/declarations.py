# SPDX-License-Identifier: Apache-2.0
"""Writes the C source of tareconv._core with cffi, from the public headers: python3 declarations.py OUT.c HEADER...

cffi reads declarations, not C: comments, preprocessor lines (but constants) and the words around them are taken off.
"""

import pathlib
import re
import sys

import cffi

CONSTANT = re.compile(r"#define (TARE_\w+) (\d+)$")


def declarations(text: str) -> str:
    """The part of a header that cffi understands."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    lines, skip = [], 0
    for line in map(str.rstrip, text.splitlines()):
        if line.startswith("#if"):
            skip += line == "#ifdef __cplusplus" or line.startswith("#if defined")
            lines.append("")
        elif line.startswith("#endif"):
            skip = 0
        elif line.startswith("#"):
            lines.append(line if CONSTANT.match(line) else "")
        elif not skip:
            lines.append(line.replace("TARE_API ", ""))
    return "\n".join(line for line in lines if line.strip())


def main() -> None:
    out, headers = sys.argv[1], [pathlib.Path(name) for name in sys.argv[2:]]
    builder = cffi.FFI()
    builder.cdef("\n".join(declarations(path.read_text()) for path in headers))
    builder.set_source("tareconv._core", "\n".join(f"#include <{path.parent.name}/{path.name}>" for path in headers))
    builder.emit_c_code(out)


if __name__ == "__main__":
    main()
