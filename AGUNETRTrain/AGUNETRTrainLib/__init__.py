"""The Slicer side of AGUNETR Train: the panel, and everything it starts, reads and shows.

Never imports torch, MONAI nor the engine: training, checks, reports and exports run in child processes, by the same
commands that a terminal runs. What the panel shows of a run it reads from the run's folder, so that it shows a run
that another computer made, or that goes on there, in the same way.
"""
