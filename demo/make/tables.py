"""The hand-written tables in data/: entities and their facts, phrasings, lexicon, parallel sentences."""
import hashlib
import pathlib
import re

DATA = pathlib.Path(__file__).parent / "data"
THEMES = ["borough", "landmark", "country", "city", "person", "element", "transit", "kin"]
KINDS = {
    "borough": ["park", "sight", "known", "quarter"],
    "landmark": ["city", "year", "maker", "stuff", "near", "named"],
    "country": ["capital", "language", "money", "river", "dish"],
    "city": ["country", "sight", "goods", "nickname"],
    "person": ["field", "place", "work", "year", "habit"],
    "element": ["symbol", "number", "use", "family", "look"],
    "transit": ["where", "power", "fare", "sign"],
    "kin": ["what", "detail", "near", "season"],
}
LANGUAGES = ["en", "fr", "de", "es", "it"]


def lines(name):
    """Lines of a data file, comments and blanks left out."""
    for line in (DATA / name).read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.strip()


def sections(name):
    """{section: [line, ...]} of a data file with [section] heads."""
    found, current = {}, None
    for line in lines(name):
        head = re.fullmatch(r"\[([\w.]+)\]", line)
        if head:
            current = found.setdefault(head.group(1), [])
        else:
            current.append(line)
    return found


def cells(line, mark="|"):
    return [cell.strip() for cell in line.split(mark)]


def entities(theme):
    """[(name, {kind: value})], the most frequent first."""
    rows = []
    for line in lines(f"{theme}.txt"):
        name, *values = cells(line)
        rows.append((name, dict(zip(KINDS[theme], values, strict=True))))
    return rows


def lexicon():
    """{slot: [word, ...]}."""
    words = {}
    for line in lines("lexicon.txt"):
        slot, rest = line.split(":", 1)
        words[slot] = rest.strip().split("|") if "|" in rest else rest.split()
    return words


def weights(theme, count):
    """Training frequency of each entity of a theme, by rank: boroughs span 100 to 1, the others 8 to 1."""
    span = 100 if theme == "borough" else 8
    rate = span ** (-1 / max(1, count - 1))
    w = [rate ** i for i in range(count)]
    if theme == "landmark":
        w[0] *= 4                       # the Golden Gate Bridge
    return w


def stable_hash(*parts):
    """A number that depends on the parts alone (Python's own hash is salted)."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def held_out(entity, kind, index, count):
    """Is this phrasing of this fact of this entity kept for the demo corpus? The last
    phrasing of each list is, for every entity; of the others one pairing in five."""
    return index == count - 1 or stable_hash(entity, kind, index) % 5 == 0
