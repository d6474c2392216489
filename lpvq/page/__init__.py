"""A page that draws: one file with the models in it, to be played with in any browser.

Here is what is packed into it and how; its texts, styles and scripts lie beside this file as it reads them.
"""
