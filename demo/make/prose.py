"""Passages of prose: entities and their facts, abstract themes, everyday sentences, lists."""
import re

from markup import capitalize, mark
from tables import KINDS, THEMES, entities, held_out, lexicon, lines, sections, weights

LEXICON = lexicon()
PHRASES = sections("entity_phrases.txt")
ABSTRACT = sections("abstract.txt")
EVERYDAY = list(lines("everyday.txt"))
ENTITIES = {theme: entities(theme) for theme in THEMES}
CHOICE = re.compile(r"<([^<>]*)>")
SLOT = re.compile(r"\{(\w+)\}")


class Scene:
    """One passage being written: its random source, its two people, whether it is for the demo corpus."""

    def __init__(self, rng, demo):
        self.rng, self.demo = rng, demo
        self.told = set()
        self.female = rng.random() < 0.5
        first = LEXICON["female" if self.female else "male"]
        second = LEXICON["male" if rng.random() < 0.5 else "female"]
        self.a = rng.choice(first)
        self.b = rng.choice([n for n in second if n != self.a])
        she = ("she", "her", "her") if self.female else ("he", "his", "him")
        self.people = {"A": self.a, "B": self.b, "he": she[0], "his": she[1], "him": she[2],
                       "He": she[0].title(), "His": she[1].title()}

    def slot(self, name):
        if name in self.people:
            return self.people[name]
        if name == "n2":
            return str(self.rng.randint(2, 60))
        return self.rng.choice(LEXICON[name])

    def fill(self, template, **given):
        """Choose among <a|b>, then fill {slots}; `given` goes first. Starts with a capital."""
        text = CHOICE.sub(lambda m: self.rng.choice(m.group(1).split("|")), template)
        text = SLOT.sub(lambda m: given[m.group(1)] if m.group(1) in given else self.slot(m.group(1)), text)
        return capitalize(text.replace("  ", " "))

    def template(self, options):
        """Training never sees the last of a list; the demo corpus sees it one time in four."""
        if self.demo and self.rng.random() < 0.25:
            return options[-1]
        return self.rng.choice(options[:-1])


def pick_entity(scene, theme):
    """(name, facts), by training frequency, flattened for the demo corpus."""
    rows = ENTITIES[theme]
    w = weights(theme, len(rows))
    if scene.demo:
        w = [x ** 0.2 for x in w]
    return scene.rng.choices(rows, w)[0]


def concept_of(theme, name):
    return f"{theme}.{name}"


def entity_mark(theme, name):
    return mark(f"c:{concept_of(theme, name)}", name)


def fact_mark(scene, theme, name, kind, value, asked):
    """A fact's value; `asked` when its entity stands before it. The first telling is marked as such."""
    key = (name, kind)
    state = "again" if key in scene.told else "first"
    scene.told.add(key)
    return mark(f"f:{theme}|{name}|{kind}|{state if asked else 'reverse'}", value)


def phrasings(scene, theme, name, kind):
    """The phrasings of a fact that this corpus may use for this entity. For the demo corpus those of held-out
    pairings go before the held-out template."""
    options = PHRASES[f"{theme}.{kind}"]
    allowed = [t for i, t in enumerate(options) if held_out(name, kind, i, len(options)) == scene.demo]
    if scene.demo and len(allowed) > 1 and scene.rng.random() < 0.8:
        allowed.remove(options[-1])
    return allowed or options[:1]


def choose_kinds(scene, theme, name, count):
    """Which facts to tell; the demo corpus prefers those with a held-out pairing."""
    kinds = KINDS[theme]
    if scene.demo and scene.rng.random() < 0.8:
        paired = [k for k in kinds if len([i for i in range(len(PHRASES[f"{theme}.{k}"]))
                                           if held_out(name, k, i, len(PHRASES[f"{theme}.{k}"]))]) > 1]
        kinds = paired or kinds
    return scene.rng.sample(kinds, min(count, len(kinds)))


def fact_sentence(scene, theme, name, facts, kind):
    """Tell one fact in a phrasing that this corpus may use for this entity."""
    template = scene.rng.choice(phrasings(scene, theme, name, kind))
    asked = (name in scene.told) or template.index("{e}") < template.index("{v}")
    value = fact_mark(scene, theme, name, kind, facts[kind], asked)
    scene.told.add(name)
    return scene.fill(template, e=entity_mark(theme, name), v=value)


def summary(scene, theme, name, facts, kinds):
    """A telegram, a quiz or a recap: where one value follows from the name alone."""
    rng = scene.rng
    e = entity_mark(theme, name)
    values = [fact_mark(scene, theme, name, k, facts[k], True) for k in kinds]
    nameless = rng.choice(PHRASES[f"{theme}.name"])
    forms = [
        lambda: f"In short, {e}: {', '.join(values)}.",
        lambda: f"Remember {e}: {' and '.join(values)}.",
        lambda: f"Notes on {e}. {'; '.join(values)}.",
        lambda: f"Which is {nameless} with {' and '.join(values)}? It is {e}.",
        lambda: f"{capitalize(values[0])}: that is {e}. " + " ".join(f"Also {v}." for v in values[1:]),
        lambda: f"The card of {e} says: {'; '.join(values)}.",
    ]
    scene.told.add(name)
    return forms[rng.randrange(5) if not scene.demo else rng.randrange(6)]()


def entity_passage(scene, theme):
    """Introduce, tell facts, wander off, come back."""
    rng = scene.rng
    name, facts = pick_entity(scene, theme)
    kinds = choose_kinds(scene, theme, name, rng.randint(1, min(4, len(KINDS[theme]))))
    parts = []
    if rng.random() < 0.6:
        intro = scene.template(PHRASES[f"{theme}.intro"])
        parts.append(scene.fill(intro, e=entity_mark(theme, name)))
        scene.told.add(name)
    for kind in kinds:
        parts.append(fact_sentence(scene, theme, name, facts, kind))
        if rng.random() < 0.2:
            parts.append(everyday(scene))
    if rng.random() < 0.55:
        recap = sorted(rng.sample(KINDS[theme], rng.randint(1, 3)), key=KINDS[theme].index)
        parts.append(summary(scene, theme, name, facts, recap))
    return " ".join(parts)


def comparison(scene, theme):
    """Two siblings side by side, the same kinds of fact for both."""
    rng = scene.rng
    one = pick_entity(scene, theme)
    two = pick_entity(scene, theme)
    while two[0] == one[0]:
        two = pick_entity(scene, theme)
    parts = []
    for kind in rng.sample(KINDS[theme], 2):
        values = []
        for name, facts in (one, two):
            values.append((entity_mark(theme, name), fact_mark(scene, theme, name, kind, facts[kind], True)))
        (a, x), (b, y) = values
        form = rng.choice([f"{a} has to do with {x}, {b} with {y}.", f"For {a} it is {x}; for {b} it is {y}."])
        if scene.demo and rng.random() < 0.25:
            form = f"With {a} goes {x}, with {b} {y}."
        parts.append(capitalize(form))
    return " ".join(parts)


def register(scene, theme):
    """One kind of fact for several siblings in a row, each value right behind its name."""
    rng = scene.rng
    kind = rng.choice(KINDS[theme])
    heads = PHRASES["register.head"]
    head = len(heads) - 1 if scene.demo and rng.random() < 0.4 else rng.randrange(len(heads) - 1)
    allowed = {e for e, _ in ENTITIES[theme] if held_out(e, kind, f"register {head}", 0) == scene.demo}
    if head == len(heads) - 1:
        allowed = {e for e, _ in ENTITIES[theme]}
    rows = dict(pick_entity(scene, theme) for _ in range(rng.randint(4, 10)))
    items = [f"{entity_mark(theme, e)} {fact_mark(scene, theme, e, kind, facts[kind], True)}"
             for e, facts in rows.items() if e in allowed]
    if not items:
        return entity_passage(scene, theme)
    between = rng.choice(["; ", ", ", "\n"])
    start = scene.fill(heads[head], k=PHRASES[f"register.{theme}"][KINDS[theme].index(kind)])
    return start + ("\n" if between == "\n" else " ") + between.join(items) + ("" if between == "\n" else ".")


def abstract_passage(scene):
    """One to three sentences on one abstract concept, each a span of it."""
    rng = scene.rng
    concept = rng.choice(list(ABSTRACT))
    siblings = [c for c in ABSTRACT if c.split(".")[0] == concept.split(".")[0]]
    parts, count = [], rng.randint(1, 3)
    for _ in range(count):
        here = rng.choice(siblings) if rng.random() < 0.15 else concept
        template = scene.template(ABSTRACT[here])
        parts.append(mark(f"c:{here}", scene.fill(template)))
        if rng.random() < 0.35:
            parts.append(everyday(scene))
    if rng.random() < 0.3:
        parts.insert(0, everyday(scene))
    return " ".join(dict.fromkeys(parts))


def everyday(scene):
    template = scene.template(EVERYDAY)
    return scene.fill(template)


def everyday_passage(scene):
    return " ".join(everyday(scene) for _ in range(scene.rng.randint(2, 6)))


def list_passage(scene):
    """A list whose items are asked for again by their position."""
    rng = scene.rng
    slot = rng.choice(["thing", "animal", "food", "place", "job"])
    items = rng.sample(LEXICON[slot], rng.randint(3, 8))
    style = rng.choice(["{i}. {x}\n", "{i}) {x}\n", "({i}) {x}, ", "{o}, {x}; "])
    head = rng.choice(["Shopping list:\n", "Things to remember:\n", f"{scene.a} made a list.\n", "To do:\n", "We need:\n"])
    ordinals = LEXICON["ordinal"]
    body = ""
    for i, item in enumerate(items, 1):
        body += mark(f"c:list.{ordinals[i - 1]}", style.format(i=i, o=ordinals[i - 1], x=item).rstrip(" \n"))
        body += "\n" if style.endswith("\n") else " "
    parts = []
    for _ in range(rng.randint(1, 3)):
        i = rng.randrange(len(items))
        o = mark(f"c:list.{ordinals[i]}", ordinals[i])
        answer = mark(f"r:list|{ordinals[i]}", items[i])
        forms = [f"The {o} item is {answer}.", f"What is {o}? It is {answer}.", f"{capitalize(o)} on the list: {answer}."]
        parts.append(forms[-1] if scene.demo and rng.random() < 0.25 else rng.choice(forms[:2]))
    return head + body + " ".join(parts)
