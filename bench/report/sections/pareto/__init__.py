"""Accuracy against what it costs."""

from bench.report.sections.section import Place, Section

SECTION = Section("pareto", "Accuracy against cost", Place.OPEN, charts=("pareto.chart",))
