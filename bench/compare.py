#!/usr/bin/env python3
"""Several rounds of several servers, side by side: tables and charts for docs/performance.md.

    bench/compare.py DIRECTORY [--document docs/performance.md] [--charts docs/performance]

DIRECTORY holds `confab bench --json` files named WORK.SERVER.ROUND.json. A work's main figure is the one of the budget.
Cells are the median over the rounds, with the smallest and the largest; ratios are to `limit` in the same round, and their
median. A work that a server broke in any round has no figures for it. The text between the document's two marker lines is
replaced; exit status 2 if the input or the document is not as it should be.
"""

import argparse
import json
import math
import pathlib
import re
import statistics
import sys
from html import escape

BEGIN = "<!-- bench/compare.py: begin -->"
END = "<!-- bench/compare.py: end -->"
FORMAT = "confab-bench/1"
FAMILIES = (
    (("ns", 1), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)),
    (("B", 1), ("KiB", 1024), ("MiB", 1024**2), ("GiB", 1024**3)),
    (("/s", 1), ("k/s", 1e3), ("M/s", 1e6), ("G/s", 1e9)),
)
# By the work's name, or by the part before its dash; of others it is the first figure.
MAIN = {
    "fanout": "server_cpu_per_delivery_us",
    "fanout-1000": "delivery_rate_per_cpu_per_s",
    "idle": "private_memory_per_connection_kib",
    "publish": "receipt_rate_per_s",
    "publish-1": "receipt_p50_ns",
    "rooms": "server_cpu_per_delivery_us",
    "storm": "server_cpu_per_replayed_entry_us",
    "tokens": "server_cpu_per_delivery_us",
}


class Refused(Exception):
    """The input cannot be compared."""


def digits(value):
    if value == int(value) or abs(value) >= 999.5:
        return f"{value:,.0f}"
    exponent = int(f"{value:.2e}".split("e")[1])
    return f"{value:.{max(2 - exponent, 0)}f}" if exponent > -5 else f"{value:.3g}"


def fitted(value, unit):
    """The unit of the same family in which `value` reads best, and how many of `unit` it is."""
    for family in FAMILIES:
        given = dict(family).get(unit)
        if given:
            fitting = [x for x in family if abs(value) * given >= x[1] * 0.9995] or family[:1]
            return fitting[-1][0], fitting[-1][1] / given
    return unit, 1


def spread(values, unit):
    """`4.91 (4.80–5.20) µs`."""
    middle = statistics.median(values)
    name, factor = fitted(middle, unit) if middle else (unit, 1)
    text = digits(middle / factor)
    if len(values) > 1:
        text += f" ({digits(min(values) / factor)}–{digits(max(values) / factor)})"
    return f"{text} {name}".rstrip()


def cell(text):
    """One table cell of Markdown, whatever the text holds."""
    text = re.sub(r"[\x00-\x1f\x7f]", "?", str(text))
    return re.sub(r"([\\|`*_\[\]])", r"\\\1", escape(text, quote=False))


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " --- |" * (len(head) - 1)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def figures_of(run):
    """{key: (name, value, unit)}, latencies behind the figures."""
    found = {key: (x["name"], x["value"], x["unit"]) for key, x in run["figures"].items()}
    for key, x in run["latencies"].items():
        if x["count"]:
            for percent in ("50", "99"):
                found[f"{key}_p{percent}_ns"] = (
                    f"{x['name']} p{percent}", x["percentiles_ns"][percent], "ns")
    for name, value, unit in found.values():
        if not (isinstance(name, str) and isinstance(unit, str)):
            raise Refused("a figure's name or unit is no text")
        if value is not None and not (isinstance(value, (int, float)) and math.isfinite(value)):
            raise Refused(f"{name} is no number")
    return found


class Work:
    """All runs of one work: {server: {round: run}}."""

    def __init__(self, name):
        self.name = name
        self.runs = {}

    def outcome(self, server):
        """The worst of the rounds; None if there are none."""
        outcomes = {x["verdict"]["outcome"] for x in self.runs.get(server, {}).values()}
        return next((x for x in ("broken", "not completed", "kept") if x in outcomes), None)

    def values(self, server, key):
        """{round: value} of a server that kept its promises in every round."""
        if self.outcome(server) != "kept":
            return {}
        found = {number: figures_of(run).get(key) for number, run in self.runs[server].items()}
        return {number: x[1] for number, x in found.items() if x and x[1] is not None}

    def keys(self):
        """{key: (name, unit)} in the order of the runs, those of all servers."""
        found = {}
        for rounds in self.runs.values():
            for number in sorted(rounds):
                for key, (name, _, unit) in figures_of(rounds[number]).items():
                    found.setdefault(key, (name, unit))
        return found

    def ratio(self, server, key):
        mine, limit = self.values(server, key), self.values("limit", key)
        ratios = [mine[n] / limit[n] for n in mine if limit.get(n)]
        return statistics.median(ratios) if ratios and server != "limit" else None

    def text(self, server, key, unit):
        values = self.values(server, key)
        if not values:
            outcome = self.outcome(server)
            return f"**{outcome}**" if outcome in ("broken", "not completed") else "–"
        ratio = self.ratio(server, key)
        return cell(spread(list(values.values()), unit)) + (
            f", {digits(ratio)} × limit" if ratio is not None else "")


def read(directory):
    works = {}
    for path in sorted(pathlib.Path(directory).glob("*.json")):
        parts = path.name[:-5].rsplit(".", 2)
        if len(parts) != 3 or not parts[2].isdigit() or not re.fullmatch(r"[\w.@:+-]+", parts[0]):
            raise Refused(f"{path}: the name is not WORK.SERVER.ROUND.json")
        try:
            run = json.loads(path.read_text(encoding="utf-8"))
            if run["format"] != FORMAT:
                raise Refused(f"{path}: format {run['format']!r} instead of {FORMAT!r}")
            if run["verdict"]["outcome"] not in ("kept", "broken", "not completed"):
                raise Refused(f"{path}: unknown outcome")
            figures_of(run)
            run["server"]["version"], run["server"]["guarantees"], run["machine"]["cores"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Refused(f"{path}: not a report of confab bench ({error!r})") from error
        work = works.setdefault(parts[0], Work(parts[0]))
        work.runs.setdefault(parts[1], {})[int(parts[2])] = run
    if not works:
        raise Refused(f"{directory}: no reports")
    return list(works.values())


def servers_of(works):
    names = {server for work in works for server in work.runs}
    return sorted(names, key=lambda x: (x != "confab", x != "limit", x))


def bars(work, key, name, unit, servers):
    """The main figure as bars, with whiskers from the smallest to the largest round; None without a value."""
    shown = [(x, list(work.values(x, key).values())) for x in servers if work.values(x, key)]
    highest = max((max(values) for _, values in shown), default=0)
    if highest <= 0:
        return None
    left, width, row = 130, 420, 30
    height = 44 + row * len(shown)
    scale = width / highest
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {height}" role="img" aria-labelledby="t d">',
        f'<title id="t">{escape(work.name)}: {escape(name)}</title>',
        '<desc id="d">' + escape("; ".join(f"{x}: {spread(v, unit)}" for x, v in shown)) + "</desc>",
        "<style>text{font:14px system-ui,sans-serif;fill:#1c2430}.bar{fill:#7b8798}.own{fill:#1f5fbf}"
        ".whisker{stroke:#1c2430;stroke-width:1.5}@media(prefers-color-scheme:dark){text{fill:#e4e8ef}"
        ".own{fill:#7fb2ff}.whisker{stroke:#e4e8ef}}</style>",
        f'<text x="8" y="22" font-weight="600">{escape(work.name)}: {escape(name)}</text>',
    ]
    for i, (server, values) in enumerate(shown):
        top = 38 + row * i
        middle = statistics.median(values) * scale
        low, high = left + min(values) * scale, left + max(values) * scale
        kind = "bar own" if server == "confab" else "bar"
        lines += [
            f'<text x="{left - 8}" y="{top + 16}" text-anchor="end">{escape(server)}</text>',
            f'<rect class="{kind}" x="{left}" y="{top + 2}" width="{max(middle, 1):.1f}" height="20"/>',
            f'<line class="whisker" x1="{low:.1f}" y1="{top + 12}" x2="{high:.1f}" y2="{top + 12}"/>',
            f'<text x="{max(high, left + middle) + 8:.1f}" y="{top + 16}">{escape(spread(values, unit))}</text>',
        ]
    return "\n".join(lines + ["</svg>", ""])


def circumstances(works, servers):
    runs = [run for work in works for rounds in work.runs.values() for run in rounds.values()]
    rounds = max(len(x) for work in works for x in work.runs.values())
    machine = runs[0]["machine"]
    loads = [x["machine"]["load_average"] for x in runs]
    started = sorted(x["started"] for x in runs)
    lines = [
        f"{cell(started[0])} to {cell(started[-1])}: {cell(machine['cpu'])}, {machine['cores']} cores, "
        f"{cell(machine['kernel'])}, load average {min(loads):.2g} to {max(loads):.2g}. Medians of up to {rounds} "
        "rounds (smallest–largest); ratios are to `limit` in the same round.", ""]
    about = {server: run["server"] for work in works for server, rounds in work.runs.items()
             for run in rounds.values()}
    return lines + table(["server", "version", "what its figures stand for"], [
        [cell(x), cell(about[x]["version"]), cell(about[x]["guarantees"])] for x in servers])


def compare(works, charts, prefix):
    """@returns the Markdown; `charts` becomes {file name: SVG}."""
    servers = servers_of(works)
    lines = circumstances(works, servers)
    rows, details = [], []
    for work in works:
        keys = work.keys()
        if not keys:
            rows.append([cell(work.name)] + [f"**{work.outcome(x) or '–'}**" for x in servers])
            continue
        main = MAIN.get(work.name) or MAIN.get(work.name.split("-")[0])
        main = main if main in keys else next(iter(keys))
        name, unit = keys[main]
        rows.append([f"{cell(work.name)}: {cell(name)}"] + [work.text(x, main, unit) for x in servers])
        present = [x for x in servers if x in work.runs]
        details += [f"### {cell(work.name)}", ""]
        chart = bars(work, main, name, unit, present)
        if chart:
            charts[f"{work.name}.svg"] = chart
            details += [f"![{cell(work.name)}: {cell(name)}]({prefix}{work.name}.svg)", ""]
        details += table([""] + [cell(x) for x in present], [
            [cell(name)] + [work.text(x, key, unit) for x in present]
            for key, (name, unit) in keys.items()])
    return "\n".join(lines + table(["work"] + [cell(x) for x in servers], rows) + details)


def replaced(document, text, begin=BEGIN, end=END):
    if document.count(begin) != 1 or document.count(end) != 1:
        raise Refused(f"the document needs each of the lines {begin} and {end} once")
    before, rest = document.split(begin)
    if end not in rest:
        raise Refused("the document's end marker stands before its begin marker")
    return f"{before}{begin}\n\n{text}\n{end}{rest.split(end)[1]}"


def main(arguments):
    root = pathlib.Path(__file__).resolve().parent.parent
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("directory")
    options.add_argument("--document", type=pathlib.Path, default=root / "docs/performance.md")
    options.add_argument("--charts", type=pathlib.Path, default=root / "docs/performance")
    given = options.parse_args(arguments)
    try:
        charts = {}
        works = read(given.directory)
        document = given.document.read_text(encoding="utf-8")
        changed = replaced(document, compare(works, charts, given.charts.name + "/"))
        given.charts.mkdir(parents=True, exist_ok=True)
        for name, chart in charts.items():
            (given.charts / name).write_text(chart, encoding="utf-8")
        given.document.write_text(changed, encoding="utf-8")
    except (Refused, OSError) as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    print(f"{given.document}: {len(works)} works, {len(servers_of(works))} servers, {len(charts)} charts")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
