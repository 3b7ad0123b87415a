"""From the folder of a run to tables, statistics, figures and one page."""
