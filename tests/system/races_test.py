"""The defects of earlier systems (DESIGN §14): each naive way shows its own under reconnects, and Confab shows none.

A naive way whose defect does not show would mean that these races prove nothing.
"""

import naive
from races import race_confab, race_naive
from support import SEED, equal, expect, run

COUNT = 400
READERS = 6

# What each way does wrong: whether it loses, whether it repeats.
DEFECTS = {
    "read the history, then subscribe": (True, False),
    "subscribe, then read the history": (False, True),
    "Pub/Sub alone": (True, False),
    "fan-out stream from 0 at each start": (True, True),
    "one consumer group for all nodes": (True, False),
    "cursor saved as sent, every 0.2 s": (False, True),
    "cursor under the connection's id": (False, True),
    "one cursor key for all conversations": (True, False),
}


def shows_its_defect(way):
    loses, repeats = DEFECTS[way]
    lost = repeated = 0
    # The races need luck: a few tries, each with another seed.
    for attempt in range(4):
        more_lost, more_repeated = race_naive(naive.NAIVE[way], COUNT, READERS, SEED + attempt)
        lost, repeated = lost + more_lost, repeated + more_repeated
        if (lost > 0 or not loses) and (repeated > 0 or not repeats):
            break
    print(f"  {way}: {lost} lost, {repeated} repeated", flush=True)
    expect(lost > 0 or not loses, f"{way}: loses nothing here", lost)
    expect(repeated > 0 or not repeats, f"{way}: repeats nothing here", repeated)


def every_naive_way_shows_its_defect():
    equal(set(naive.NAIVE), set(DEFECTS), "ways")
    for way in DEFECTS:
        shows_its_defect(way)


def confab_shows_none_of_them():
    equal(race_confab(COUNT, READERS, SEED), (0, 0), "lost, repeated")


if __name__ == "__main__":
    run(every_naive_way_shows_its_defect, confab_shows_none_of_them)
