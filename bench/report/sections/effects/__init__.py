"""What each technique is worth: the main result."""

from bench.report.sections.effects.caveats import effect_caveats
from bench.report.sections.effects.table import effect_table, pooled_table
from bench.report.sections.section import Place, Section

SECTION = Section(
    "effects",
    "What each technique is worth",
    Place.OPEN,
    tables=(effect_table, pooled_table),
    charts=("effects.chart",),
    caveats=effect_caveats,
)
