"""Which classes are taken for which."""

from bench.report.sections.section import Section

SECTION = Section("confusion", charts=("confusion.chart",))
