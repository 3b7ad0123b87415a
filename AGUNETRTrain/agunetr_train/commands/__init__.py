"""The commands that training adds to the command line ``agunetr``, one module each, as in :mod:`agunetr.commands`."""

COMMANDS = ("experiments", "data", "train", "report", "export")
