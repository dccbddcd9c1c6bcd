"""Reports: the numbers of an evaluation, and text, figures and pages that show them."""
