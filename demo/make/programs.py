"""Short programs in Python, C and JavaScript: adding, multiplying, calling, signatures, bugs, insecure code and its safe twin."""
from markup import mark

ADD_NAMES = ["add", "plus", "total", "add_two", "sum_of", "combine"]
MUL_NAMES = ["mul", "times", "product", "multiply", "area", "scale"]
SUB_NAMES = ["sub", "minus", "differ", "reduce_by"]
ANY_NAMES = ["f", "g", "op", "calc", "foo", "step"]
CALLERS = ["run", "work", "helper", "wrapper", "go", "use", "main_op", "outer"]
ARGS = [("a", "b"), ("x", "y"), ("m", "n"), ("left", "right")]
OPS = {"add": ("+", lambda a, b: a + b), "mul": ("*", lambda a, b: a * b), "sub": ("-", lambda a, b: a - b)}


def signature(lang, name, args, typed):
    """The head of a function; a typed one is a span of its own."""
    a, b = args
    if lang == "python":
        text = f"def {name}({a}: int, {b}: int) -> int:" if typed else f"def {name}({a}, {b}):"
    elif lang == "c":
        text = f"int {name}(int {a}, int {b}) {{"
    else:
        text = f"function {name}({a}, {b}) {{"
    return mark("c:code.signature", text) if typed or lang == "c" else text


def function(lang, name, args, body, typed=False):
    head = signature(lang, name, args, typed)
    if lang == "python":
        return f"{head}\n    return {body}\n"
    return f"{head}\n    return {body};\n}}\n"


def check(rng, lang, name, op, concept, via):
    """A call with small operands and its result, one token."""
    a, b = rng.randint(1, 9), rng.randint(1, 9)
    if op == "sub" and a < b:
        a, b = b, a
    result = mark(f"r:{op}|{via}", str(OPS[op][1](a, b)))
    call = f"{mark(concept, name)}({a}, {b}) == {result}"
    return {"python": f"assert {call}\n", "c": f"assert({call});\n", "javascript": f"assert({call});\n"}[lang]


def name_for(rng, op):
    own = {"add": ADD_NAMES, "mul": MUL_NAMES, "sub": SUB_NAMES}[op]
    return rng.choice(own if rng.random() < 0.65 else ANY_NAMES)


def arithmetic(rng, lang):
    """A function that computes, sometimes one that only calls it, and checks of both."""
    op = rng.choices(["add", "mul", "sub"], [6, 5, 2])[0]
    args = rng.choice(ARGS)
    direct, through = f"c:code.{op}", f"c:code.calls_{op}"
    name = name_for(rng, op)
    typed = rng.random() < 0.3
    body = mark(direct, f"{args[0]} {OPS[op][0]} {args[1]}")
    text = function(lang, mark(direct, name), args, body, typed)
    if rng.random() < 0.45:
        caller = rng.choice(CALLERS)
        inner = mark(direct, name) + f"({args[0]}, {args[1]})"
        text += function(lang, mark(through, caller), args, mark(through, inner), typed)
        text += "".join(check(rng, lang, caller, op, through, "call") for _ in range(rng.randint(1, 4)))
        if rng.random() < 0.4:
            return text
    return text + "".join(check(rng, lang, name, op, direct, "direct") for _ in range(rng.randint(1, 5)))


def two_functions(rng, lang):
    """Two functions with different operations, called in turn."""
    one, two = rng.sample(["add", "mul"] if rng.random() < 0.7 else ["add", "mul", "sub"], 2)
    text, names = "", {}
    for op in (one, two):
        names[op] = rng.choice({"add": ADD_NAMES, "mul": MUL_NAMES, "sub": SUB_NAMES}[op])
        args = rng.choice(ARGS)
        body = mark(f"c:code.{op}", f"{args[0]} {OPS[op][0]} {args[1]}")
        text += function(lang, mark(f"c:code.{op}", names[op]), args, body)
    for _ in range(rng.randint(2, 5)):
        op = rng.choice([one, two])
        text += check(rng, lang, names[op], op, f"c:code.{op}", "direct")
    return text


THINGS = ["item", "user", "order", "price", "score", "page", "node", "city", "word", "line"]

# concept: language: (bad, what follows it, good twin, what follows that)
BUGS = {
    "bug.zero": {
        "python": ("{v} = {n} / 0", "ZeroDivisionError: division by zero", "{v} = {n} / 2", "ok"),
        "c": ("int {v} = {n} / 0;", "runtime error: division by zero", "int {v} = {n} / 2;", "ok"),
        "javascript": ("const {v} = {n} % 0;", "NaN: remainder by zero", "const {v} = {n} % 2;", "ok")},
    "bug.bounds": {
        "python": ("{v}s = [{n}, 2, 3]\nprint({v}s[3])", "IndexError: list index out of range",
                   "{v}s = [{n}, 2, 3]\nprint({v}s[2])", "ok"),
        "c": ("int {v}s[3];\n{v}s[3] = {n};", "runtime error: index 3 out of bounds", "int {v}s[3];\n{v}s[2] = {n};", "ok"),
        "javascript": ("const {v}s = [{n}, 2, 3];\nprint({v}s[3]);", "RangeError: undefined element",
                       "const {v}s = [{n}, 2, 3];\nprint({v}s[2]);", "ok")},
    "bug.typo": {
        "python": ("{v} = {n}\nprint({v}z)", "NameError: name {v}z is not defined", "{v} = {n}\nprint({v})", "ok"),
        "c": ("int {v} = {n};\nprintf({v}z);", "error: {v}z undeclared", "int {v} = {n};\nprintf({v});", "ok"),
        "javascript": ("let {v} = {n};\nprint({v}z);", "ReferenceError: {v}z is not defined", "let {v} = {n};\nprint({v});", "ok")},
    "bug.type": {
        "python": ("{v} = \"{n}\" + {n}", "TypeError: can only concatenate str", "{v} = {n} + {n}", "ok"),
        "c": ("int {v} = \"{n}\";", "error: incompatible types", "int {v} = {n};", "ok"),
        "javascript": ("const {v} = null.{w};", "TypeError: null has no properties", "const {v} = obj.{w};", "ok")},
    "bug.syntax": {
        "python": ("def get_{v}(:\n    return {n}", "SyntaxError: invalid syntax", "def get_{v}():\n    return {n}", "ok"),
        "c": ("int get_{v}( {{\n    return {n};\n}}", "error: expected declaration", "int get_{v}() {{\n    return {n};\n}}", "ok"),
        "javascript": ("function get_{v}( {{\n    return {n};\n}}", "SyntaxError: missing formal parameter",
                       "function get_{v}() {{\n    return {n};\n}}", "ok")},
}
FLAWS = {
    "insecure.sql": {
        "python": ("db.execute(\"SELECT * FROM {v}s WHERE {w} = '\" + {w} + \"'\")", "SQL injection",
                   "db.execute(\"SELECT * FROM {v}s WHERE {w} = ?\", [{w}])", "safe"),
        "javascript": ("db.query(\"SELECT * FROM {v}s WHERE {w} = '\" + {w} + \"'\");", "SQL injection",
                       "db.query(\"SELECT * FROM {v}s WHERE {w} = ?\", [{w}]);", "safe")},
    "insecure.shell": {
        "python": ("os.system(\"rm \" + {w})", "shell injection", "subprocess.run([\"rm\", {w}])", "safe"),
        "c": ("system({w});", "shell injection", "execl(\"/bin/ls\", {w});", "safe")},
    "insecure.eval": {
        "python": ("{v} = eval(request.{w})", "runs untrusted code", "{v} = literal_eval(request.{w})", "safe"),
        "javascript": ("const {v} = eval(req.{w});", "runs untrusted code", "const {v} = JSON.parse(req.{w});", "safe")},
    "insecure.overflow": {
        "c": ("char {v}[8];\nstrcpy({v}, {w});", "buffer overflow", "char {v}[8];\nstrncpy({v}, {w}, 7);", "safe")},
    "insecure.password": {
        "python": ("password = \"{w}{n}\"", "hard coded secret", "password = os.environ[\"{w}\"]", "safe"),
        "javascript": ("const password = \"{w}{n}\";", "hard coded secret", "const password = process.env.{w};", "safe")},
}
COMMENT = {"python": "# ", "c": "// ", "javascript": "// "}


def twin(rng, table, label):
    """Faulty snippets and their sound twins, each followed by what it leads to."""
    parts = []
    concept = rng.choice(list(table))
    lang = rng.choice(list(table[concept]))
    for _ in range(rng.randint(1, 3)):
        if rng.random() < 0.3:
            concept = rng.choice([c for c in table if lang in table[c]])
        bad, effect, good, fine = table[concept][lang]
        slots = {"v": rng.choice(THINGS), "w": rng.choice(THINGS), "n": rng.randint(1, 9)}
        if rng.random() < 0.6:
            parts.append(mark(f"c:{concept}", bad.format(**slots) + "\n" + COMMENT[lang] + label + effect.format(**slots)))
        else:
            parts.append(mark(f"c:{concept.replace('insecure', 'secure')}" if label.startswith("review") else "c:code.sound",
                              good.format(**slots)) + "\n" + COMMENT[lang] + label + fine)
    return "\n".join(parts) + "\n", lang


def program(rng):
    """One program; returns (marked text, language)."""
    kind = rng.choices(["arithmetic", "two", "bug", "flaw"], [6, 3, 3, 2])[0]
    if kind == "bug":
        return twin(rng, BUGS, "run: ")
    if kind == "flaw":
        return twin(rng, FLAWS, "review: ")
    lang = rng.choice(["python", "python", "c", "javascript"])
    return (arithmetic if kind == "arithmetic" else two_functions)(rng, lang), lang
