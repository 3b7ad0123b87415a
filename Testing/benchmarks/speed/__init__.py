"""The benchmark: this project and MONAI's own pipeline side by side, on the same weights and the same CT.

What is compared is a *row*; what runs is a *task*, in a process of its own (a *subject*), so that each has its own
peak memory. The subjects of a row take turns, A B A B, so that a machine that slows down slows them all.
"""
