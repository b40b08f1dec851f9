"""Text with marked spans: concepts, facts and results are wrapped in control characters and parsed out at the end."""
OPEN, MID, CLOSE = "\x01", "\x02", "\x03"


def mark(label, text):
    """Wrap `text` in a span called `label`; spans may nest."""
    return f"{OPEN}{label}{MID}{text}{CLOSE}"


def capitalize(text):
    """Upper-case the first visible letter, stepping over span marks."""
    i = 0
    while i < len(text):
        if text[i] == OPEN:
            i = text.index(MID, i) + 1
        elif text[i] == CLOSE or not text[i].isalpha():
            if text[i].isdigit():
                return text
            i += 1
        else:
            return text[:i] + text[i].upper() + text[i + 1:]
    return text


def parse(marked):
    """Return (text, spans): spans are (label, start, end) in bytes of the UTF-8 text."""
    out, stack, spans, size, i = [], [], [], 0, 0
    while i < len(marked):
        c = marked[i]
        if c == OPEN:
            mid = marked.index(MID, i)
            stack.append((marked[i + 1:mid], size))
            i = mid + 1
            continue
        if c == CLOSE:
            label, start = stack.pop()
            spans.append((label, start, size))
        else:
            out.append(c)
            size += len(c.encode())
        i += 1
    spans.sort(key=lambda s: (s[1], s[2]))
    return "".join(out), spans
