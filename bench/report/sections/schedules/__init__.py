"""The learning rate over training."""

from bench.report.sections.section import Place, Section

SECTION = Section("schedules", "The learning rate over training", Place.APPENDIX, charts=("schedules.chart",))
