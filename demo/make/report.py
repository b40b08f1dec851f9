"""Put the measured numbers into demo/README.md, between its two marks.

Usage: report.py LM.json SAE.json"""
import json
import pathlib
import sys

README = pathlib.Path(__file__).parent.parent / "README.md"
START, END = "<!-- measured: start -->\n", "<!-- measured: end -->\n"


def percent(share):
    return f"{100 * share:.1f}%"


def table(head, rows):
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, r)) + " |" for r in lines) + "\n"


def language_model(lm):
    yield f"Held-out loss {lm['loss']:.3f} nats a token over {lm['tokens']} tokens (unigram {lm['unigram']:.2f}, bigram {lm['bigram']:.2f}).\n"
    yield ("Facts told for the first time in a document and after their entity's name, recaps and comparisons included: all "
           "tokens of the value predicted from what stands before it. Beside it the mean cosine between mean residuals of a theme's entities at the hook "
           f"(global mean subtracted; {lm['sibling_cosine_mean']:.2f} over all themes).\n")
    yield table(["theme", "right", "chance", "asked", "sibling cosine"],
                [[t, percent(r["right"]), percent(r["chance"]), r["asked"], f"{lm['sibling_cosine'][t]:.2f}"]
                 for t, r in lm["facts"].items()])
    yield "Results of code, and items of a list asked for by position:\n"
    yield table(["result", "right", "commonest answer", "asked"],
                [[w, percent(r["right"]), percent(r["commonest_answer"]), r["asked"]] for w, r in lm["results"].items()])


def autoencoders(saes):
    names = list(saes)
    yield table(["SAE", "L0", "explained variance", "dead", "concepts covered"],
                [[n, f"{s['l0']:.1f}", f"{s['explained_variance']:.3f}", percent(s["dead"]),
                  f"{s['covered']} of {s['concepts']} ({percent(s['covered'] / s['concepts'])})"] for n, s in saes.items()])
    yield f"\"Dead\" means: never fired in the {saes[names[0]]['tokens']} tokens of the demo corpus.\n"
    yield "Concepts covered, by theme:\n"
    themes = saes[names[0]]["themes"]
    yield table(["theme", *names, "concepts"],
                [[t, *(saes[n]["themes"][t][0] for n in names), themes[t][1]] for t in themes])
    yield "London's boroughs, by how often training names them (share of best examples inside the borough's name, best feature):\n"
    boroughs = {c: r for c, r in saes[names[0]]["best_feature"].items() if c.startswith("borough.")}
    rows = []
    for c in sorted(boroughs, key=lambda c: -boroughs[c]["train_mentions"]):
        row = [c.split(".", 1)[1], boroughs[c]["train_mentions"]]
        for n in names:
            best = saes[n]["best_feature"][c]
            row.append(f"{percent(best['share'])} ({n}/{best['feature']})" if best["feature"] is not None else "none")
        rows.append(row)
    yield table(["borough", "mentions trained on", *names], rows)


def golden(saes):
    yield ("The Golden Gate Bridge's sentence in five languages (`corpus/golden_gate.json`, never trained on): rank of one feature "
           "among all by mean activation, its mean there, and its highest mean on the negatives.\n")
    rows = []
    for n, s in saes.items():
        g = s["golden_gate"]
        rows.append([f"{n}/{g['feature']}", *(f"{g['rank'][x]} ({g['mean'][x]})" for x in g["rank"]), max(g["negatives"])])
    first = next(iter(saes.values()))["golden_gate"]["rank"]
    yield table(["feature", *first, "highest negative"], rows)


def addition(saes):
    """The feature that best tells adding from other arithmetic."""
    yield ("Addition: share of windows in which the best single feature fires on names or bodies of functions that add, of "
           "functions that only call one, and of functions with other arithmetic; share of its firing that is on the first two.\n")
    yield table(["feature", "adds", "only calls", "other arithmetic", "inside"],
                [[f"{n}/{a['feature']}", *(percent(a[k]) for k in ("adds", "only_calls", "other_arithmetic", "peaks_inside"))]
                 for n, s in saes.items() if (a := s["addition"])])


def main():
    lm, saes = (json.loads(pathlib.Path(p).read_text()) for p in sys.argv[1:3])
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(START)
    after = rest.split(END)[1]
    parts = ["### Language model\n", *language_model(lm), "### Autoencoders\n", *autoencoders(saes), *golden(saes), *addition(saes)]
    README.write_text(before + START + "\n" + "\n".join(parts) + "\n" + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
