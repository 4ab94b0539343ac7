"""jaxderm study: do specialists tell releases from photographs, and do they see the same disease (Burlina 2020).

jaxderm study new      blind the pictures, balance each reader's order, say what power the study has
jaxderm study serve    the page that readers answer on; on this computer only
jaxderm study analyse  accuracy, equivalence, d', ROC, kappa, agreement of diagnosis: report, CSV
"""

ACTIONS = ("new", "serve", "analyse")
