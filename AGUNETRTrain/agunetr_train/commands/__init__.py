"""The commands that training adds to the command line ``agunetr``."""
