"""The AGUNETR engine: UNETR and attention-gated UNETR segmentation, without Slicer.

Nothing heavy is imported here; import the part that you need, for example
:mod:`agunetr.inference.segmenter` or :mod:`agunetr.networks.variants`.
"""

__version__ = "0.1.0"
