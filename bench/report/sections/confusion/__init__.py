"""Which classes are taken for which."""

from bench.report.sections.section import Place, Section

SECTION = Section("confusion", "Which classes are taken for which", Place.APPENDIX, charts=("confusion.chart",))
