"""C types of a compiled object, read from its debug information by readelf."""

import re
import subprocess
from dataclasses import dataclass, field

_ENTRY = re.compile(r"^ <(\d+)><([0-9a-f]+)>: Abbrev Number: \d+ \(DW_TAG_(\w+)\)")
_ATTRIBUTE = re.compile(r"^ +<[0-9a-f]+> +DW_AT_(\w+) *: (?:\(.*?\):? *)?(.*?)\s*$")


@dataclass
class Entry:
    tag: str
    attributes: dict = field(default_factory=dict)
    children: list = field(default_factory=list)

    @property
    def name(self):
        return self.attributes.get("name", "")

    def number(self, attribute, otherwise=0):
        return int(self.attributes.get(attribute, str(otherwise)).split()[0], 0)


class DebugInfo:
    """Entries of one compilation unit."""

    def __init__(self, object_file, readelf):
        command = [readelf, "--debug-dump=info", str(object_file)]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        self._by_offset = {}
        self.top = []
        parents = {}
        for line in text.splitlines():
            if match := _ENTRY.match(line):
                depth, offset, tag = int(match[1]), match[2], match[3]
                entry = parents[depth] = Entry(tag)
                self._by_offset[offset] = entry
                if depth == 1:
                    self.top.append(entry)
                elif depth > 1:
                    parents[depth - 1].children.append(entry)
            elif (match := _ATTRIBUTE.match(line)) and parents:
                entry.attributes[match[1]] = match[2]

    def type_of(self, entry):
        """The entry's type, None for void."""
        reference = entry.attributes.get("type")
        return self._by_offset[reference.strip("<>").removeprefix("0x")] if reference else None

    def spell(self, entry):
        """The type as C would write it, typedefs unresolved."""
        if entry is None:
            return "void"
        inner = self.type_of(entry)
        if entry.tag == "pointer_type":
            return self.spell(inner) + ("" if inner is not None and inner.tag == "subroutine_type" else "*")
        if entry.tag == "const_type":
            return f"{self.spell(inner)} const"
        if entry.tag == "array_type":
            return self.spell(inner) + "".join(f"[{n}]" for n in _extents(entry))
        if entry.tag == "subroutine_type":
            parameters = [self.spell(self.type_of(p)) for p in entry.children if p.tag == "formal_parameter"]
            return f"{self.spell(inner)}({', '.join(parameters) or 'void'})"
        return entry.name

    def size(self, entry):
        if "byte_size" in entry.attributes:
            return entry.number("byte_size")
        if entry.tag == "pointer_type":
            return 8
        size = self.size(self.type_of(entry))
        for extent in _extents(entry):
            size *= extent
        return size


def _extents(entry):
    ranges = [child for child in entry.children if child.tag == "subrange_type"]
    return [r.number("count") if "count" in r.attributes else r.number("upper_bound", -1) + 1 for r in ranges]
