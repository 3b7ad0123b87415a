"""The Slicer side of AGUNETR Train: the shipped experiments, the training command and its child process.

Needs no Slicer by itself; whatever draws is handed in. Never imports torch, MONAI nor the engine: training runs in a
child process, the same ``agunetr train`` that a terminal runs.
"""
