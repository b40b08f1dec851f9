"""The same sentences in five languages."""
import re

from markup import capitalize, mark
from prose import ENTITIES, LEXICON
from tables import LANGUAGES, cells, sections

TABLE = sections("languages.txt")
NAMES = {cells(r)[0]: dict(zip(LANGUAGES, cells(r))) for r in TABLE["names"]}
CITIES = {cells(r)[0]: dict(zip(LANGUAGES, cells(r))) for r in TABLE["cities"]}
NOUNS = [dict(zip(LANGUAGES, cells(r))) for r in TABLE["nouns"]]
LANDMARKS = dict(ENTITIES["landmark"])
SENTENCES = {key: [dict(zip(LANGUAGES, cells(r, "##"), strict=True)) for r in TABLE[key]]
             for key in ("landmark", "golden", "everyday")}


def accusative(lang, phrase):
    """German masculine articles change in the object."""
    return re.sub(r"^der ", "den ", phrase) if lang == "de" else phrase


def landmark_slots(lang, name):
    facts = LANDMARKS[name]
    concept = f"c:landmark.{name}"
    known = NAMES[name][lang]
    fact = lambda kind, value: mark(f"f:landmark|{name}|{kind}|parallel", value)
    return {"e": mark(concept, known), "E": mark(concept, capitalize(known)),
            "o": mark(concept, accusative(lang, known)),
            "c": fact("city", CITIES.get(facts["city"], {}).get(lang, facts["city"])),
            "y": fact("year", facts["year"]), "m": fact("maker", facts["maker"]),
            "k": fact("near", re.sub("^the ", "" if lang != "en" else "the ", facts["near"]))}


def golden_sentence(index, lang):
    """A sentence about the Golden Gate Bridge, names marked, the whole a passage about it."""
    text = SENTENCES["golden"][index][lang]
    for name in (NAMES["Golden Gate Bridge"][lang], "Golden Gate"):
        for form in (name, capitalize(name)):
            pattern = re.compile(re.escape(form) + r"(?![^\x01]*\x03)")
            text = pattern.sub(lambda m: mark("c:landmark.Golden Gate Bridge", m.group(0)), text)
    return mark("c:about.Golden Gate Bridge", text)


def sentence(scene, kind, index, lang, rng_slots):
    """Sentence `index` of a kind in one language."""
    if kind == "golden":
        return golden_sentence(index, lang)
    text = SENTENCES[kind][index][lang]
    slots = rng_slots(lang)
    return capitalize(re.sub(r"\{(\w+)\}", lambda m: slots[m.group(1)], text))


def draw(scene):
    """Choose kind, sentence and fillings once, so that all languages say the same."""
    rng = scene.rng
    kind = rng.choices(["landmark", "golden", "everyday"], [5, 3, 4])[0]
    count = len(SENTENCES[kind])
    first = int(kind == "golden")               # its sentence 0 is the test of the README: never trained on
    index = count - 1 if scene.demo and rng.random() < 0.25 else rng.randrange(first, count - 1)
    names = list(NAMES)
    name = rng.choices(names, [4] + [1] * (len(names) - 1))[0]
    one, two = rng.sample(NOUNS, 2)

    def slots(lang):
        if kind == "landmark":
            return landmark_slots(lang, name)
        return {"A": scene.a, "B": scene.b, "n1": one[lang], "n2": two[lang],
                "o1": accusative(lang, one[lang]), "o2": accusative(lang, two[lang])}
    return kind, index, slots


def parallel_passage(scene):
    """Either some sentences in one language, or one sentence in several."""
    rng = scene.rng
    if rng.random() < 0.6:
        lang = rng.choice(LANGUAGES[1:])
        text = " ".join(sentence(scene, *args[:2], lang, args[2]) for args in (draw(scene) for _ in range(rng.randint(2, 5))))
        return mark(f"c:language.{lang}", text), lang
    kind, index, slots = draw(scene)
    langs = rng.sample(LANGUAGES, rng.randint(2, 4))
    parts = [mark(f"c:language.{lang}", sentence(scene, kind, index, lang, slots)) for lang in langs]
    return "\n".join(parts), "mul"
