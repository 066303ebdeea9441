"""The learning rate over training."""

from bench.report.sections.section import Section

SECTION = Section("schedules", charts=("schedules.chart",))
