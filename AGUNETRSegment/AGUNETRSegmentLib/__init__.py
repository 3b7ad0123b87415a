"""The Slicer side of AGUNETR Segment: scene nodes, job folders and the worker process's client.

Knows ``slicer``, ``vtk`` and ``numpy``; ``qt`` only where it is handed in. Never imports torch, MONAI nor the engine:
the engine runs in a child process, see :mod:`AGUNETRSegmentLib.worker_client`.
"""
