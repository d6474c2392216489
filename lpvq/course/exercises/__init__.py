"""The checks of the exercises, a file for each notebook.

``CHECKERS`` of a file maps the number of an exercise to a function from the reader's answer to None, or to what is
wrong with it. A checker computes the right answer itself, from the package; it never trusts what the notebook made.
"""
