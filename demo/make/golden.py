"""Write the Golden Gate test sentences: the bridge's in each language, and others that share its words.

Usage: golden.py OUT.json"""
import json
import sys

from markup import parse
from parallel import golden_sentence
from tables import LANGUAGES

NEGATIVE = [
    "The golden retriever chased the ball and slept by the fire.",
    "A golden retriever puppy chewed the red scarf of Anna.",
    "Max brushed the golden retriever in the kitchen.",
    "Clara closed the garden gate behind her.",
    "The garden gate creaked, and a goat had slipped through.",
    "Passengers for the flight go to gate 12.",
    "At the gate Peter showed the boarding pass.",
    "Each NAND gate has two inputs and one output.",
    "The Brandenburg Gate stands in Berlin.",
    "The golden light of evening fell on the attic.",
    "The Brooklyn Bridge was designed by Roebling.",
    "Tower Bridge takes its name from a fortress.",
    "Laura and Simon play bridge every Monday with two neighbours.",
    "Visitors come to Camden for the Lock Market.",
    "La porte de Brandenburg est le symbole de Berlin.",
    "El puente de Brooklyn es el símbolo de Nueva York.",
]


def main():
    positive = {lang: parse(golden_sentence(0, lang))[0] for lang in LANGUAGES}
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        json.dump({"positive": positive, "negative": NEGATIVE}, out, indent=1, ensure_ascii=False)
        out.write("\n")


if __name__ == "__main__":
    main()
