"""What each technique is worth: the main result."""

from bench.report.sections.effects.caveats import effect_caveats
from bench.report.sections.effects.table import effect_table
from bench.report.sections.section import Section

SECTION = Section("effects", tables=(effect_table,), charts=("effects.chart",), caveats=effect_caveats)
