#!/usr/bin/env python3
"""bench/compare.py on made-up rounds."""

import importlib.util
import json
import pathlib
import tempfile
import unittest
import xml.dom.minidom

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SPEC = importlib.util.spec_from_file_location("compare", ROOT / "bench/compare.py")
compare = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(compare)


def report(value, outcome="kept", guarantees="none", name="server CPU per delivery"):
    return {
        "format": "confab-bench/1", "scenario": "fanout", "started": "2026-11-20T13:20:22Z",
        "server": {"name": "x", "version": "1", "guarantees": guarantees},
        "machine": {"cores": 2, "cpu": "Xeon", "kernel": "Linux", "load_average": 1},
        "verdict": {"outcome": outcome},
        "figures": {"server_cpu_per_delivery_us": {"name": name, "value": value, "unit": "µs", "note": ""}},
        "latencies": {"delivery": {"name": "delivery", "count": 5,
                                   "percentiles_ns": {"50": 1_200_000, "99": 4_000_000}}},
        "series": {}}


class Compare(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.runs = pathlib.Path(scratch.name) / "runs"
        self.runs.mkdir()
        self.document = pathlib.Path(scratch.name) / "performance.md"
        self.document.write_text(f"before\n{compare.BEGIN}\nold\n{compare.END}\nafter\n", encoding="utf-8")
        self.charts = pathlib.Path(scratch.name) / "charts"

    def add(self, name, run):
        (self.runs / f"{name}.json").write_text(json.dumps(run), encoding="utf-8")

    def run_it(self):
        return compare.main([str(self.runs), "--document", str(self.document), "--charts", str(self.charts)])

    def text(self):
        return self.document.read_text(encoding="utf-8")

    def test_medians_spread_and_ratios_of_the_same_round(self):
        for number, (confab, limit) in enumerate([(5, 4), (6, 3), (9, 9)], 1):
            self.add(f"fanout.confab.{number}", report(confab))
            self.add(f"fanout.limit.{number}", report(limit))
        self.assertEqual(self.run_it(), 0)
        # Ratios 1.25, 2 and 1; the ratio of the medians would be 1.5.
        self.assertIn("| fanout: server CPU per delivery | 6 (5–9) µs, 1.25 × limit | 4 (3–9) µs |", self.text())
        self.assertIn("| delivery p99 | 4 (4–4) ms, 1 × limit | 4 (4–4) ms |", self.text())
        self.assertTrue(self.text().startswith("before\n"))
        self.assertTrue(self.text().endswith("\nafter\n"))
        self.assertNotIn("old", self.text())
        chart = xml.dom.minidom.parse(str(self.charts / "fanout.svg"))
        self.assertEqual(len(chart.getElementsByTagName("rect")), 2)

    def test_a_second_time_changes_nothing(self):
        self.add("fanout.confab.1", report(5))
        self.assertEqual(self.run_it(), 0)
        once = self.text()
        self.assertEqual(self.run_it(), 0)
        self.assertEqual(self.text(), once)

    def test_a_broken_round_voids_the_figures(self):
        self.add("fanout.confab.1", report(5))
        self.add("fanout.fast.1", report(1))
        self.add("fanout.fast.2", report(1.5, outcome="broken"))
        self.assertEqual(self.run_it(), 0)
        self.assertIn("| fanout: server CPU per delivery | 5 µs | **broken** |", self.text())
        self.assertNotIn("1.5", self.text())

    def test_a_server_without_this_work_has_a_dash(self):
        self.add("fanout.confab.1", report(5))
        self.add("publish.redis.1", report(5))
        self.assertEqual(self.run_it(), 0)
        self.assertIn("| publish: server CPU per delivery | – | 5 µs |", self.text())

    def test_hostile_texts_stay_in_their_cells(self):
        self.add("fanout.confab.1", report(5, guarantees="a | b <script>\n# c", name="<b>|&"))
        self.assertEqual(self.run_it(), 0)
        self.assertIn(r"a \| b &lt;script&gt;?# c |", self.text())
        self.assertNotIn("<b>", self.text())
        xml.dom.minidom.parse(str(self.charts / "fanout.svg"))

    def test_what_is_no_report_is_refused_and_the_document_kept(self):
        before = self.text()
        self.assertEqual(self.run_it(), 2)
        for name, content in {"fanout.confab.1": "{", "fanout.confab.2": "[]", "nothing": json.dumps(report(1)),
                              "fanout.confab.x": json.dumps(report(1)), "fanout.confab.3": '{"format":"other"}',
                              "fanout.confab.4": json.dumps(report("5"))}.items():
            path = self.runs / f"{name}.json"
            path.write_text(content, encoding="utf-8")
            with self.subTest(name):
                self.assertEqual(self.run_it(), 2)
            path.unlink()
        self.assertEqual(self.text(), before)

    def test_a_document_without_its_markers_is_refused(self):
        self.add("fanout.confab.1", report(5))
        for text in ("", compare.BEGIN, f"{compare.END}\n{compare.BEGIN}", (compare.BEGIN + compare.END) * 2):
            self.document.write_text(text, encoding="utf-8")
            self.assertEqual(self.run_it(), 2)
            self.assertEqual(self.text(), text)


if __name__ == "__main__":
    unittest.main()
