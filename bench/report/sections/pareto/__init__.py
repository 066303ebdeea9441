"""Accuracy against what it costs."""

from bench.report.sections.section import Section

SECTION = Section("pareto", charts=("pareto.chart",))
