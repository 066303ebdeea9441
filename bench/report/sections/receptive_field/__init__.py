"""How the receptive field grows."""

from bench.report.sections.section import Place, Section

SECTION = Section("receptive_field", "Growth of the receptive field", Place.APPENDIX, charts=("receptive_field.chart",))
