"""How this Python was started: its own options, and what it runs.

Read by whoever starts Python again, or another one for the ranks. Imports nothing, since each rank
comes by before anything else.
"""

from __future__ import annotations

_VALUED = ("X", "W")  # have a value, in the same word or the next
_RUNNING = ("m", "c")


class Invocation:
    """Python's command line, taken apart.

    Args:
        words: what follows Python's name.

    Attributes:
        options: the words that are options of Python's.
        letters: the letters among these options.
        run: what is run, and its arguments. It begins with ``-m`` or ``-c``, in a word of its own,
            or is a script. Empty: nothing is.
    """

    def __init__(self, words: list[str]) -> None:
        self.letters: set[str] = set()
        place = 0
        while place < len(words):
            word = words[place]
            if word == "-" or not word.startswith("-"):
                break
            place += 1
            if word.startswith("--"):
                place += word == "--check-hash-based-pycs"  # the only one with a value
                continue
            for at, letter in enumerate(word[1:], start=1):
                value = word[at + 1 :]
                if letter in _RUNNING:
                    self.options = words[: place - 1] + [word[:at]] * (at > 1)
                    self.run = [f"-{letter}", *([value] if value else []), *words[place:]]
                    return
                self.letters.add(letter)
                if letter in _VALUED:
                    place += not value
                    break
        self.options, self.run = words[:place], words[place:]

    def program(self, arguments: int) -> list[str]:
        """Return what is run without its arguments, which are as many."""
        return self.run[: len(self.run) - arguments]
