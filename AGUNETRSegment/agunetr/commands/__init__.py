"""The commands of ``agunetr``, one module each.

A command module has ``NAME``, ``SUMMARY``, ``EXAMPLES``, ``add_arguments(parser)`` and ``run(arguments, console)``,
which returns an exit code. It imports torch, MONAI and SimpleITK only when it runs, so that ``--help`` is instant.
"""
