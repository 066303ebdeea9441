"""How the receptive field grows."""

from bench.report.sections.section import Section

SECTION = Section("receptive_field", charts=("receptive_field.chart",))
