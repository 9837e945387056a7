"""The one root of the errors that a user can do something about."""


class CaliperError(Exception):
    """Printed by the command line as one line, with exit status 2.

    The message says what is wrong, where, and what to do. Leaves of this class sit beside what raises them
    and keep their facts as attributes.
    """
